"""X-ray lines and absorption edges of the elements, from the tables of Elam (through xraydb)."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import defaultdict

from chemtomo.errors import ParameterError

__all__ = [
    "LineGroup",
    "XrayLine",
    "choose_line",
    "edge_energies_keV",
    "elements_between",
    "line_groups",
    "lines_of",
    "shell_members",
]

_NAME = re.compile(r"([A-Z][a-z]?)(?:[_ -]?([KLM][a-z0-9]*))?")

# Vacancies in a shell are shared among its subshells about as its electrons are.
_SUBSHELL_ELECTRONS = {
    "K": {"K": 2},
    "L": {"L1": 2, "L2": 2, "L3": 4},
    "M": {"M1": 2, "M2": 2, "M3": 4, "M4": 4, "M5": 6},
}
# Lines a few electronvolts apart share a label: no energy-dispersive detector resolves them.
_LABEL = re.compile(r"([KLM][a-z])")
_MAIN_LABELS = ("Ka", "Kb", "La", "Lb", "Ma", "Mb")
_HEAVIEST = 94
# Photons of Kb for one of Ka, by atomic number: for these the tables of Elam have 0.12 to 0.135, as for iron,
# though their M shell is nearly empty. From xraylib 4.3 (T. Schoonjans et al., Spectrochimica Acta B 66
# (2011) 776); magnesium from eXSpy 0.3.
_LIGHT_K_BETA = {
    12: 0.010, 13: 0.0132, 14: 0.0277, 15: 0.0444, 16: 0.0617, 17: 0.0807, 18: 0.102, 19: 0.1156, 20: 0.1257,
}  # fmt: skip
_M_ZETA_SHARE = 0.03
_M2_N4_SHARE = 0.015
# Noble gases, but for argon of ion mills, and elements without stable isotopes.
_UNLIKELY = frozenset((2, 10, 36, 43, 54, 61, 84, 85, 86, 87, 88, 89, 91))


@dataclasses.dataclass(frozen=True)
class XrayLine:
    """A line of an element at the resolution of an X-ray detector.

    Attributes
    ----------
    element : str
        Chemical symbol.
    label : str
        ``"Ka"``, ``"Kb"``, ``"La"``, ``"Lb"``, ``"Ma"`` or ``"Mb"``.
    energy_keV : float
        Mean energy of its components, weighted by their intensity.
    weight : float
        Its share of all photons of the same shell, 0 to 1.
    """

    element: str
    label: str
    energy_keV: float
    weight: float

    @property
    def name(self) -> str:
        """Element and label, for example ``"Fe_Ka"``."""
        return f"{self.element}_{self.label}"

    @property
    def shell(self) -> str:
        """The shell with the vacancy: ``"K"``, ``"L"`` or ``"M"``."""
        return self.label[0]


@dataclasses.dataclass(frozen=True)
class LineGroup:
    """Lines of a shell with well-known relative intensities.

    Those of one subshell come from the same vacancies. Between subshells the tables are rough: they leave out
    Coster-Kronig transitions, and absorption in the sample.

    Attributes
    ----------
    name : str
        A label for K and M shells (``"Ka"``), a subshell for L shells (``"L3"``).
    members : tuple of (str, float, float)
        Label, energy in keV, and share of the photons of the whole shell.
    """

    name: str
    members: tuple[tuple[str, float, float], ...]

    @property
    def share(self) -> float:
        """Share of the photons of the whole shell."""
        return sum(share for _, _, share in self.members)


@functools.cache
def line_groups(element: str, shell: str) -> tuple[LineGroup, ...]:
    """Return the lines of a shell, in groups with well-known relative intensities.

    Within a subshell the shares are tabulated. Between the subshells they are those of the electrons
    times the fluorescence yields, which leaves out Coster-Kronig transitions. The tables hardly contain
    the weak M lines: M zeta gets 3 % and M2-N4 1.5 % of the photons, as in spectra of platinum and gold.
    From magnesium to calcium they have several times too many K beta photons, which are replaced.

    Parameters
    ----------
    element : str
        Chemical symbol.
    shell : {"K", "L", "M"}
        The shell with the vacancy.

    Returns
    -------
    tuple of LineGroup
        The shares of all groups add up to 1. Empty when the element has no such lines.
    """
    import xraydb

    atomic_number = _atomic_number(element)
    # The outermost shell is a band of valence electrons and has no lines that can be used.
    if _is_valence(shell, atomic_number):
        return ()
    edges = xraydb.xray_edges(element)
    grouped: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for name, line in xraydb.xray_lines(element).items():
        if not name.startswith(shell):
            continue
        level = str(line.initial_level).split(",")[0]
        electrons = _SUBSHELL_ELECTRONS[shell].get(level, 0)
        level_yield = edges[level].fyield if level in edges else 0.0
        share = float(line.intensity) * electrons * float(level_yield)
        if share > 0 and line.energy > 0:
            label = _LABEL.match(name)[1]  # type: ignore[index]
            grouped[level if shell == "L" else label].append((label, line.energy / 1000, share))
    if shell == "K" and atomic_number in _LIGHT_K_BETA and "Kb" in grouped:
        alpha, beta = (sum(share for _, _, share in grouped[label]) for label in ("Ka", "Kb"))
        factor = _LIGHT_K_BETA[atomic_number] * alpha / beta
        grouped["Kb"] = [(label, energy, share * factor) for label, energy, share in grouped["Kb"]]
    if shell == "M" and grouped:
        total = sum(share for group in grouped.values() for _, _, share in group)
        if "Mz" in grouped:
            (label, energy, share), *others = grouped["Mz"]
            grouped["Mz"] = [(label, energy, max(share, _M_ZETA_SHARE * total)), *others]
        if "M2" in edges and "N4" in edges:
            energy = (edges["M2"].energy - edges["N4"].energy) / 1000
            grouped["M2"] = [("Mn", energy, _M2_N4_SHARE * total)]
    total = sum(share for group in grouped.values() for _, _, share in group)
    return tuple(
        LineGroup(name, tuple((label, energy, share / total) for label, energy, share in group))
        for name, group in grouped.items()
    )


@functools.cache
def shell_members(element: str, shell: str) -> tuple[tuple[str, float, float], ...]:
    """Return the lines of a shell: label, energy in keV and share of the photons of the shell.

    Parameters
    ----------
    element : str
        Chemical symbol.
    shell : {"K", "L", "M"}
        The shell with the vacancy.

    Returns
    -------
    tuple of (str, float, float)
        By rising energy; the shares, see `line_groups`, add up to 1. Empty when there are no such lines.
    """
    members = [member for group in line_groups(element, shell) for member in group.members]
    return tuple(sorted(members, key=lambda one: one[1]))


@functools.cache
def lines_of(element: str) -> tuple[XrayLine, ...]:
    """Return the main lines of an element by falling energy.

    Parameters
    ----------
    element : str
        Chemical symbol.

    Raises
    ------
    ParameterError
        When there is no such element, or it has no lines (H and He).
    """
    _atomic_number(element)
    found = []
    for shell in _SUBSHELL_ELECTRONS:
        grouped: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for label, energy, share in shell_members(element, shell):
            grouped[label].append((energy, share))
        for label in _MAIN_LABELS:
            members = grouped.get(label)
            if members:
                weight = sum(share for _, share in members)
                energy = sum(energy * share for energy, share in members) / weight
                found.append(XrayLine(element, label, energy, weight))
    return tuple(sorted(found, key=lambda line: -line.energy_keV))


def choose_line(name: str, low_keV: float, high_keV: float) -> XrayLine:
    """Return the line that ``"Fe"`` or ``"Fe_Ka"`` means in spectra of a given range.

    For an element alone it is the alpha line of the innermost shell that is recorded: K lines are
    further apart than L and M lines, and are less absorbed.

    Parameters
    ----------
    name : str
        Chemical symbol, alone or with the label of a line.
    low_keV, high_keV : float
        Range of energies that is recorded.

    Raises
    ------
    ParameterError
        When there is no such element or line, or it is outside of the range.
    """
    element, label = _parse(name)
    every = lines_of(element)
    inside = [line for line in every if low_keV < line.energy_keV < high_keV]
    if label is None:
        wanted = [line for line in inside if line.label.endswith("a")] or inside
    else:
        wanted = [line for line in inside if line.label == label]
    if wanted:
        return wanted[0]
    listed = ", ".join(f"{line.name} at {line.energy_keV:.3f}" for line in every) or "no lines at all"
    raise ParameterError(
        f"line {name!r}: found no such line between {low_keV:.3f} and {high_keV:.3f} keV; "
        f"{element} has {listed}"
    )


def edge_energies_keV(element: str) -> dict[str, float]:
    """Return the absorption edges of an element in keV, by their names (``"K"``, ``"L3"``...).

    Raises
    ------
    ParameterError
        When there is no such element.
    """
    import xraydb

    _atomic_number(element)
    return {name: edge.energy / 1000 for name, edge in xraydb.xray_edges(element).items()}


def elements_between(first: str, last: str) -> tuple[str, ...]:
    """Return the elements that samples may hold, by atomic number, from one to another."""
    import xraydb

    numbers = range(_atomic_number(first), _atomic_number(last) + 1)
    return tuple(xraydb.atomic_symbol(number) for number in numbers if number not in _UNLIKELY)


def _parse(name: str) -> tuple[str, str | None]:
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise ParameterError(
            f"line {name!r}: expected an element or a line, for example 'Fe', 'Fe_Ka' or, for edges, 'Fe_L3'"
        )
    return match[1], match[2]


def _atomic_number(element: str) -> int:
    import xraydb

    try:
        number = int(xraydb.atomic_number(element))
    except (ValueError, TypeError) as error:
        raise ParameterError(f"found no element {element!r}; expected a chemical symbol like 'Fe'") from error
    if not 1 <= number <= _HEAVIEST:
        raise ParameterError(f"element {element!r}: the tables of lines end with plutonium")
    return number


def _is_valence(shell: str, atomic_number: int) -> bool:
    return atomic_number < {"K": 3, "L": 20, "M": 56}[shell]
