from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.errors import ParameterError
from chemtomo.spectra import choose_line, edge_energies_keV, lines_of, shell_members
from chemtomo.spectra.lines import line_groups

_ELEMENTS = ["C", "O", "Na", "Al", "Si", "Ti", "Fe", "Cu", "Mo", "Ba", "Yb", "Pt", "Au", "U"]


# Values of the X-ray Data Booklet (Lawrence Berkeley National Laboratory), keV.
@pytest.mark.parametrize(
    ("name", "energy"),
    [
        ("C_Ka", 0.277),
        ("O_Ka", 0.525),
        ("Al_Ka", 1.487),
        ("Si_Ka", 1.740),
        ("Fe_Ka", 6.399),
        ("Fe_Kb", 7.058),
        ("Co_Ka", 6.925),
        ("Cu_Ka", 8.041),
        ("Cu_La", 0.930),
        ("Yb_La", 7.411),
        ("Au_La", 9.706),
    ],
)
def test_lines_have_their_known_energies(name, energy):
    assert choose_line(name, 0.0, 20.0).energy_keV == pytest.approx(energy, abs=0.006)


@pytest.mark.parametrize("element", _ELEMENTS)
def test_the_shares_of_a_shell_add_up_to_one(element):
    for shell in "KLM":
        members = shell_members(element, shell)
        if members:
            assert sum(share for _, _, share in members) == pytest.approx(1.0)
            assert all(share > 0 for _, _, share in members)


@given(st.sampled_from(_ELEMENTS))
def test_the_lines_of_an_inner_shell_have_more_energy(element):
    lines = lines_of(element)
    order = {"K": 0, "L": 1, "M": 2}
    assert [order[line.shell] for line in lines] == sorted(order[line.shell] for line in lines)


def test_an_element_alone_means_its_innermost_recorded_alpha_line():
    assert choose_line("Fe", 0.1, 20.0).name == "Fe_Ka"
    assert choose_line("Fe", 0.1, 5.0).name == "Fe_La"
    assert choose_line("Yb", 0.1, 20.0).name == "Yb_La"
    assert choose_line("Yb", 0.1, 5.0).name == "Yb_Ma"


def test_k_alpha_and_k_beta_are_about_7_to_1():
    alpha, beta = lines_of("Fe")[1], lines_of("Fe")[0]
    assert (alpha.label, beta.label) == ("Ka", "Kb")
    assert 6 < alpha.weight / beta.weight < 9


@pytest.mark.parametrize("name", ["Xx", "fe", "Fe_Qa", "", "Fe Ka 3", "H"])
def test_what_is_no_line_is_refused(name):
    with pytest.raises(ParameterError, match=r"expected|found|tables"):
        choose_line(name, 0.0, 20.0)


def test_a_line_out_of_range_is_refused_with_what_there_is():
    with pytest.raises(ParameterError, match=r"Cu_Ka.*between 0.100 and 5.000 keV.*Cu_La at 0.9"):
        choose_line("Cu_Ka", 0.1, 5.0)


def test_edges_have_their_known_energies():
    assert edge_energies_keV("Fe")["L3"] == pytest.approx(0.708, abs=0.003)
    assert edge_energies_keV("Co")["L3"] == pytest.approx(0.779, abs=0.003)
    assert edge_energies_keV("C")["K"] == pytest.approx(0.284, abs=0.001)


@pytest.mark.parametrize(
    ("element", "ratio"),
    [("Mg", 0.010), ("Al", 0.013), ("Si", 0.028), ("S", 0.062), ("Ca", 0.126), ("Ti", 0.130), ("Fe", 0.134)],
)
def test_k_beta_of_light_elements_is_weak(element, ratio):
    """Photons of Kb for one of Ka, from xraylib 4.3; their M shell is still being filled."""
    shares = {group.name: group.share for group in line_groups(element, "K")}
    assert shares["Kb"] / shares["Ka"] == pytest.approx(ratio, rel=0.08)
    assert sum(shares.values()) == pytest.approx(1)
