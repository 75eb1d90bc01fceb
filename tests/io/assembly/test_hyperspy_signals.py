"""Signals of HyperSpy in memory: a stand-in for its classes, and the library itself where it is installed."""

import builtins
import copy
import sys
from types import ModuleType, SimpleNamespace

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.io.formats.hyperspy.hyperspy_writing import axis, write_hspy, write_zspy

import chemtomo
from chemtomo.data import Alignment, Dataset, SpectrumSeries, TiltSeries
from chemtomo.errors import DataError, ParameterError, ReadError


class Undefined:
    """What HyperSpy has for a name or a unit that was not given."""

    def __str__(self):
        return "<undefined>"


def stand_in_axis(index, size, given):
    values = given.get("axis")
    axis = SimpleNamespace(
        index_in_array=index,
        size=size,
        name=given.get("name", Undefined()),
        units=given.get("units", Undefined()),
        is_uniform=values is None,
    )
    if values is None:
        axis.scale, axis.offset = given.get("scale", 1.0), given.get("offset", 0.0)
    else:
        axis.axis = values
    return axis


class Signal:
    """The parts of a signal that are used, with the axes in HyperSpy's order: the last comes first."""

    signal_dimension = 2

    def __init__(self, data, axes=None, metadata=None):
        axes = [{} for _ in data.shape] if axes is None else axes
        assert len(axes) == data.ndim
        made = [
            stand_in_axis(index, size, one)
            for index, (size, one) in enumerate(zip(data.shape, axes, strict=True))
        ]
        split = data.ndim - self.signal_dimension
        self.data = data
        self.axes_manager = SimpleNamespace(
            navigation_axes=tuple(reversed(made[:split])), signal_axes=tuple(reversed(made[split:]))
        )
        self.tree = copy.deepcopy(metadata or {})
        self.metadata = SimpleNamespace(as_dictionary=lambda: self.tree)

    def as_lazy(self):
        return self

    def set_signal_type(self, name):
        """Change the type; eXSpy makes a set of the elements then, which loses their order."""
        self.tree.setdefault("Signal", {})["signal_type"] = name
        self.tree.get("Sample", {}).get("elements", []).reverse()


class Spectra(Signal):
    signal_dimension = 1


@pytest.fixture(params=["stand-in", "hyperspy"])
def library(request, monkeypatch):
    """HyperSpy, or a stand-in for the part of it that makes signals."""
    if request.param == "hyperspy":
        return pytest.importorskip("hyperspy.signals")
    package, signals = ModuleType("hyperspy"), ModuleType("hyperspy.signals")
    signals.Signal1D, signals.Signal2D = Spectra, Signal
    package.signals = signals
    monkeypatch.setitem(sys.modules, "hyperspy", package)
    monkeypatch.setitem(sys.modules, "hyperspy.signals", signals)
    return signals


TILTS = {
    "even": np.arange(-20.0, 21, 10),
    "falling, uneven": np.array([50.0, 31.5, 3.0, -4.0, -60.25]),
    "not in order": np.array([0.0, 3.0, -3.0, 6.0, -6.0]),
    "one": np.array([12.5]),
}
each_tilts = pytest.mark.parametrize("tilts", TILTS.values(), ids=TILTS.keys())


def full_series(tilts, *, lazy=False, name="Al"):
    """A series with everything that it may have."""
    count = len(tilts)
    generator = np.random.default_rng(2)
    data = generator.poisson(3.0, (count, 4, 5)).astype(np.uint16)
    matrices = np.tile(np.eye(2, 3), (count, 1, 1)) + generator.normal(0, 0.01, (count, 2, 3))
    return TiltSeries(
        name=name,
        data=da.from_array(data, chunks=(1, 4, 5)) if lazy else data,
        tilts_deg=tilts,
        pixel_size_nm=0.73,
        kind="counts",
        axis_position_px=1.75,
        detector_shifts_px=generator.normal(0, 1, count),
        gains=generator.uniform(0.5, 2, count),
        background=generator.uniform(0, 1, data.shape).astype(np.float32),
        valid=data != 3,
        alignment=Alignment("HAADF", tilts, matrices, axis_angle_deg=2.0, residual_px=np.full(count, np.nan)),
        source="Al.mrc",
        notes=("a note",),
        provenance=({"step": "crop", "parameters": {"rows": [1, 5]}},),
        first_pixel_nm=(0.73, 1.46),
        recorded_numbers=tuple(range(3, 3 + count)),
        axis_angle_deg=-1.5,
    )


def full_spectra(tilts, signal="EDX", shape=(3, 4)):
    data = np.random.default_rng(3).poisson(1.0, (len(tilts), *shape, 6)).astype(np.uint8)
    return SpectrumSeries(
        "map",
        data,
        tilts,
        energy_offset_keV=-0.2,
        energy_step_keV=0.01,
        pixel_size_nm=1.5,
        signal=signal,
        detectors=("left", "right"),
        elements=("Fe", "O"),
        beam_energy_keV=200.0,
        source="map.emd",
        notes=("a note",),
    )


def assert_same(found, expected):
    assert type(found) is type(expected)
    for name in vars(expected):
        one, other = getattr(found, name), getattr(expected, name)
        if name == "alignment":
            assert one.to_json() == other.to_json()
        elif name.startswith("energy"):
            assert one == pytest.approx(other, rel=1e-12)
        elif isinstance(other, np.ndarray) or hasattr(other, "dask"):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=name)
            assert one.dtype == other.dtype
        else:
            assert one == other, name


@each_tilts
@pytest.mark.parametrize("lazy", [False, True])
def test_a_tilt_series_goes_to_hyperspy_and_back(library, tilts, lazy):
    series = full_series(tilts, lazy=lazy)
    signal = series.to_hyperspy()
    assert isinstance(signal, library.Signal2D)
    assert_same(chemtomo.from_hyperspy(signal), series)
    assert hasattr(signal.data, "dask") == lazy


@each_tilts
@pytest.mark.parametrize("signal", ["EDX", "EELS"])
@pytest.mark.parametrize("shape", [(3, 4), (1, 4)])
def test_spectra_go_to_hyperspy_and_back(library, tilts, signal, shape):
    spectra = full_spectra(tilts, signal, shape)
    made = spectra.to_hyperspy()
    assert isinstance(made, library.Signal1D)
    assert_same(chemtomo.from_hyperspy(made), spectra)


def test_a_dataset_goes_to_hyperspy_and_back(library):
    dataset = Dataset((full_series(TILTS["even"]), full_series(TILTS["one"], name="O")))
    found = chemtomo.from_hyperspy(dataset.to_hyperspy())
    for one, other in zip(found, dataset, strict=True):
        assert_same(one, other)


def test_values_are_not_copied(library):
    series = full_series(TILTS["even"])
    assert np.shares_memory(series.to_hyperspy().data, series.data)
    assert np.shares_memory(chemtomo.from_hyperspy(series.to_hyperspy()).data, series.data)


def test_elements_that_were_changed_in_hyperspy_are_kept(library):
    signal = full_spectra(TILTS["even"]).to_hyperspy()
    elements = ["Co", "Fe"]
    if isinstance(signal, Signal):
        signal.tree["Sample"]["elements"] = elements
    else:
        signal.metadata.Sample.elements = elements
    assert chemtomo.from_hyperspy(signal).elements == ("Co", "Fe")


def test_a_signal_that_was_cropped_has_no_gains_of_other_projections():
    pytest.importorskip("hyperspy")
    signal = full_series(TILTS["even"]).to_hyperspy().inav[1:4]
    signal.metadata.Acquisition_instrument.TEM.Stage.tilt_series_alpha = TILTS["even"][1:4]
    found = chemtomo.from_hyperspy(signal)
    assert found.gains is None
    assert found.valid is None
    assert found.tilts_deg.tolist() == [-10, 0, 10]


def test_hyperspy_that_is_missing_is_told(monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **more):
        if name.split(".")[0] == "hyperspy":
            raise ImportError("No module named 'hyperspy'")
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match=r"found no HyperSpy .*pip install hyperspy"):
        full_series(TILTS["even"]).to_hyperspy()


QUICK = {"method": "sirt", "iterations": 1, "device": "numpy"}
NM = {"units": "nm", "scale": 2.0}


@given(
    st.permutations(["y", "x"]),
    st.floats(0.01, 10),
    st.sampled_from([("nm", 1.0), ("µm", 1e3), ("Å", 0.1)]),
    st.sampled_from([("deg", 1.0), ("°", 1.0), ("rad", np.rad2deg(1.0))]),
)
@settings(max_examples=25, deadline=None)
def test_axes_of_others_are_understood(order, scale, length, angle):
    """Whatever their order, and units, and the names are HyperSpy's defaults or none."""
    sizes = {"y": 4, "x": 5}
    data = np.zeros((3, *(sizes[name] for name in order)), np.float32)
    axes = [{"name": "tilt", "units": angle[0], "scale": 0.1, "offset": -0.1}]
    axes += [{"name": name, "units": length[0], "scale": scale} for name in order]
    found = chemtomo.from_hyperspy(Signal(data, axes, {"General": {"title": "HAADF"}}))
    assert found.shape == (3, 4, 5)
    np.testing.assert_allclose(found.tilts_deg, np.array([-0.1, 0, 0.1]) * angle[1], atol=1e-12)
    assert found.pixel_size_nm == pytest.approx(scale * length[1])
    assert (found.name, found.kind) == ("HAADF", "intensity")


def test_an_uneven_axis_of_tilts_is_taken_and_given_tilts_replace_it():
    axes = [{"name": "tilt", "units": "deg", "axis": np.array([-3.0, 0.0, 7.0])}, NM, NM]
    signal = Signal(np.zeros((3, 4, 5)), axes)
    assert chemtomo.from_hyperspy(signal).tilts_deg.tolist() == [-3, 0, 7]
    assert chemtomo.from_hyperspy(signal, tilts=[1, 2, 3]).tilts_deg.tolist() == [1, 2, 3]


def test_spectra_of_one_tilt_are_at_0_degrees_and_the_notes_say_so():
    axes = [NM, NM, {"name": "Energy", "units": "keV", "scale": 0.01, "offset": -0.1}]
    metadata = {"Signal": {"signal_type": "EDS_TEM"}, "Sample": {"elements": ["Fe"]}}
    found = chemtomo.from_hyperspy(Spectra(np.zeros((3, 4, 6), np.uint8), axes, metadata))
    assert (found.shape, found.signal, found.elements) == ((1, 3, 4, 6), "EDX", ("Fe",))
    assert any("0 degrees" in note for note in found.notes)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (7, "found int without data, axes_manager, metadata; expected a signal of HyperSpy"),
        (Signal(np.zeros((3, 4, 5))), "found no tilts for 3 images; expected an axis of tilts"),
        (Signal(np.zeros((2, 3, 4, 5))), "expected images with tilts, or spectra"),
        (Signal(np.zeros((3, 4, 5), complex)), "found complex128 values along"),
    ],
)
def test_what_is_no_such_signal_is_refused(signal, message):
    with pytest.raises(DataError, match=message):
        chemtomo.from_hyperspy(signal)


def test_given_tilts_of_another_number_are_refused():
    with pytest.raises((DataError, ParameterError), match="found 2 tilts"):
        chemtomo.from_hyperspy(Signal(np.zeros((3, 4, 5))), tilts=[1, 2])


def test_spectra_and_images_do_not_make_a_dataset(library):
    both = [full_series(TILTS["even"]).to_hyperspy(), full_spectra(TILTS["even"]).to_hyperspy()]
    with pytest.raises(DataError, match="1 signals of spectra among 2"):
        chemtomo.from_hyperspy(both)


def saved(signal, path):
    """Save a signal as HyperSpy does; that of the stand-in with the library that HyperSpy uses."""
    if not isinstance(signal, Signal):
        if path.suffix == ".zspy":
            pytest.skip("HyperSpy writes no ZSPY with the present Zarr")
        signal.save(str(path))
        return path
    manager = signal.axes_manager
    made = sorted((*manager.navigation_axes, *manager.signal_axes), key=lambda one: one.index_in_array)
    axes = []
    for one in made:
        own = {key: value for key, value in vars(one).items() if not isinstance(value, Undefined)}
        del own["index_in_array"]
        kind = "UniformDataAxis" if own.pop("is_uniform") else "DataAxis"
        axes.append({"_type": kind, "navigate": False, **own})
        if "axis" in own and path.suffix == ".zspy":
            axes[-1]["axis"] = own["axis"].tolist()
    write = write_zspy if path.suffix == ".zspy" else write_hspy
    write(path, np.asarray(signal.data), axes, signal.tree)
    return path


@each_tilts
@pytest.mark.parametrize("ending", [".hspy", ".zspy"])
def test_what_hyperspy_saves_of_a_tilt_series_is_read_back(library, tilts, ending, tmp_path):
    series = full_series(tilts)
    path = saved(series.to_hyperspy(), tmp_path / f"saved{ending}")
    (found,) = chemtomo.read(path)
    assert found.source == str(path)
    assert_same(found.replace(source=series.source, origin=None), series)


def test_what_was_cropped_before_it_was_saved_has_no_gains_of_other_projections(library, tmp_path):
    series = full_series(TILTS["even"])
    signal = series.to_hyperspy()
    if isinstance(signal, Signal):
        signal.data = signal.data[:, :3]
        signal.axes_manager.signal_axes[1].size = 3
    else:
        signal = signal.isig[:, :3]
    (found,) = chemtomo.read(saved(signal, tmp_path / "saved.hspy"))
    assert found.shape == (5, 3, 5)
    assert (found.gains, found.valid, found.alignment) == (None, None, None)


def test_an_alignment_of_many_projections_can_be_saved(library, tmp_path):
    """Its numbers as text are more than an attribute of HDF5 holds."""
    tilts = np.linspace(-70, 70, 801)
    matrices = np.tile(np.eye(2, 3) + 1e-3 / 3, (801, 1, 1))
    series = TiltSeries("Al", np.ones((801, 1, 2), np.uint8), tilts, alignment=Alignment("", tilts, matrices))
    (found,) = chemtomo.read(saved(series.to_hyperspy(), tmp_path / "saved.hspy"))
    np.testing.assert_array_equal(found.alignment.matrices, matrices)


def test_damaged_details_in_a_file_are_told(tmp_path):
    path = tmp_path / "saved.hspy"
    axes = [axis("tilt", 3, 10.0, 0.0, "deg"), axis("y", 4, 2.0, 0.0, "nm"), axis("x", 5, 2.0, 0.0, "nm")]
    metadata = {"General": {"title": "Al"}, "Signal": {"signal_type": ""}, "chemtomo": {"details": ["{"]}}
    write_hspy(path, np.zeros((3, 4, 5)), axes, metadata)
    with pytest.raises(ReadError, match=r"saved.hspy: .*found damaged metadata .*; expected those of"):
        chemtomo.read(path)


def test_a_volume_goes_to_hyperspy_and_what_is_saved_of_it_is_read_back(library, tmp_path):
    volume = chemtomo.reconstruct(chemtomo.phantom((4, 16), tilts=4), **QUICK).volume
    signals = volume.to_hyperspy()
    assert [type(one) for one in signals] == [library.Signal2D] * 4
    for index, signal in enumerate(signals):
        assert np.shares_memory(signal.data, volume.data)
        found = chemtomo.read_volume(saved(signal, tmp_path / f"{index}.hspy"))
        assert found.names == volume.names[index : index + 1]
        np.testing.assert_array_equal(found.data[0], volume.data[index])
        assert found.voxel_size_nm == volume.voxel_size_nm
        assert found.origin_px == volume.origin_px
        assert found.provenance == volume.provenance


@pytest.mark.parametrize(("shift", "noted"), [(0.0, False), (0.01, False), (2.0, True)])
def test_recorded_tilts_come_before_the_axis_and_a_note_says_so_where_they_differ(shift, noted):
    axes = [{"name": "tilt", "units": "deg", "scale": 10.0, "offset": -10.0}, NM, NM]
    tilts = np.array([-10.0, 0.0, 10.0 + shift])
    metadata = {"Acquisition_instrument": {"TEM": {"Stage": {"tilt_series_alpha": tilts}}}}
    found = chemtomo.from_hyperspy(Signal(np.zeros((3, 4, 5)), axes, metadata))
    np.testing.assert_array_equal(found.tilts_deg, tilts)
    said = [note for note in found.notes if "the tilts in the metadata are used" in note]
    assert said == (
        ["the tilts in the metadata are used; those of the axis differ by up to 2 degrees"] * noted
    )


@pytest.mark.parametrize("sizes", [(3, 1, 4), (3, 4, 1), (1, 1, 4), (1, 4, 1)])
def test_spectra_of_one_row_are_no_image_of_the_tilts(sizes):
    """An axis of length 1 that is called y or x is a row or column; one without a name may be dropped."""
    axes = [{}, {"name": "y", **NM}, {"name": "x", **NM}, {"name": "Energy", "units": "keV", "scale": 0.01}]
    tilts = np.arange(sizes[0]) * 10.0 - 10
    metadata = {
        "Acquisition_instrument": {"TEM": {"Stage": {"tilt_series_alpha": tilts}}},
        "Signal": {"signal_type": "EDS_TEM"},
    }
    data = np.arange(np.prod(sizes) * 6).reshape(*sizes, 6)
    found = chemtomo.from_hyperspy(Spectra(data, axes, metadata))
    assert found.shape == (*sizes, 6)
    np.testing.assert_array_equal(found.data, data)
