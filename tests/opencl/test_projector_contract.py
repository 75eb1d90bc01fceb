"""What the projector promises, on every backend and for every memory layout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemtomo.errors import DataError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import FloatArray, LinearOperator, Projector, dot_test

TILTS = (-200.0, -90.0, -61.5, 0.0, 20.0, 45.0, 90.0, 133.0, 180.0, 270.0)
GEOMETRIES = {
    "centred": ParallelBeam(TILTS, 19, (12, 12)),
    "narrow slice": ParallelBeam(TILTS, 23, (3, 17)),
    "axis beside the centre": ParallelBeam(TILTS, 21, (14, 9), detector_axis=6.3, volume_axis=(3.1, 7.2)),
    "narrow detector": ParallelBeam(TILTS, 4, (8, 11), detector_axis=0.4),
    "shifted": ParallelBeam(
        TILTS, 17, (9, 12), 7.3, detector_shifts=[0.5, -3, 2.75, 0, 11, -0.01, 4, -9.6, 1, 0]
    ),
    "one pixel": ParallelBeam([0, 12], 1, (1, 1)),
}
# Channels and slices: one, several channels in a block, padded lanes, full chunks, several chunks.
SIZES = [(1, 1), (6, 1), (1, 2), (2, 3), (3, 5), (4, 11), (5, 22), (2, 64), (3, 70), (2, 130)]

MakeProjector = Callable[..., LinearOperator]


@pytest.fixture(params=["numpy", "opencl, layout of a cpu", "opencl, layout of a gpu"])
def projector_of(request: pytest.FixtureRequest) -> MakeProjector:
    """The class of the projector, on a backend."""
    if request.param == "numpy":
        return Projector
    kind = request.param.split()[-1]
    device = request.getfixturevalue("device")
    request.getfixturevalue("lie_as_on")(kind)
    from chemtomo.opencl.projector import OpenCLProjector

    return lambda geometry, channels, slices, tilts=None: OpenCLProjector(
        geometry, channels, slices, device, tilts
    )


@pytest.fixture(params=["forward", "adjoint"])
def direction(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shapes(operator: LinearOperator, direction: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of what goes in and what comes out."""
    domain, range_ = operator.domain_shape, operator.range_shape
    return (domain, range_) if direction == "forward" else (range_, domain)


def random_input(shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> FloatArray:
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def assert_agreement(operator: LinearOperator, geometry: ParallelBeam) -> None:
    """Against the reference in float64, to 1e-5 of the norm of every channel."""
    channels, _, slices, _ = operator.domain_shape
    reference = Projector(geometry, channels, slices)
    for direction in ("forward", "adjoint"):
        given, expected_shape = shapes(reference, direction)
        x = random_input(given)
        expected = getattr(reference, direction)(x.astype(np.float64))
        found = getattr(operator, direction)(x)
        assert found.shape == expected_shape
        size = np.linalg.norm(expected.reshape(channels, -1), axis=1)
        error = np.linalg.norm((found - expected).reshape(channels, -1), axis=1)
        assert (error <= 1e-5 * size).all()


@pytest.mark.parametrize(("channels", "slices"), SIZES)
def test_agreement_and_dot_test_for_every_layout(
    projector_of: MakeProjector, channels: int, slices: int
) -> None:
    geometry = GEOMETRIES["axis beside the centre"]
    operator = projector_of(geometry, channels, slices)
    assert_agreement(operator, geometry)
    assert dot_test(operator, dtype=np.float32) < 1e-6


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_agreement_and_dot_test_for_every_geometry(
    projector_of: MakeProjector, geometry: ParallelBeam
) -> None:
    operator = projector_of(geometry, 2, 3)
    assert_agreement(operator, geometry)
    assert dot_test(operator, dtype=np.float32) < 1e-6


def test_agreement_and_dot_test_for_a_wide_detector(projector_of: MakeProjector) -> None:
    """Detector coordinates of several hundred leave fewer digits for the weights."""
    geometry = ParallelBeam([-70.3, -0.01, 33.3, 89.99], 700, (150, 600))
    operator = projector_of(geometry, 1, 1)
    assert_agreement(operator, geometry)
    assert dot_test(operator, dtype=np.float32) < 1e-6


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tilts=st.lists(
        st.one_of(st.integers(-8, 8).map(lambda turn: 45.0 * turn), st.floats(-400, 400)),
        min_size=1,
        max_size=4,
    ),
    pixels=st.integers(1, 12),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    detector_axis=st.floats(-15, 25),
    volume_axis=st.tuples(st.floats(-10, 15), st.floats(-10, 15)),
    shifts=st.lists(st.floats(-12, 12), min_size=4, max_size=4),
)
def test_agreement_and_dot_test_for_any_geometry(
    projector_of: MakeProjector,
    tilts: list[float],
    pixels: int,
    shape: tuple[int, int],
    detector_axis: float,
    volume_axis: tuple[float, float],
    shifts: list[float],
) -> None:
    geometry = ParallelBeam(tilts, pixels, shape, detector_axis, volume_axis, shifts[: len(tilts)])
    operator = projector_of(geometry, 2, 3)
    reference = Projector(geometry, 2, 3)
    for direction in ("forward", "adjoint"):
        x = random_input(shapes(reference, direction)[0])
        expected = getattr(reference, direction)(x.astype(np.float64))
        # A ray may graze a pixel: a weight is wrong by the rounding of a coordinate of up to 50.
        np.testing.assert_allclose(getattr(operator, direction)(x), expected, atol=1e-4)
    y = random_input(operator.range_shape).astype(np.float64)
    x = random_input(operator.domain_shape).astype(np.float64)
    difference = np.vdot(operator.forward(x), y) - np.vdot(x, operator.adjoint(y))
    assert abs(difference) <= 1e-5 * np.linalg.norm(x) * np.linalg.norm(y)


@pytest.mark.parametrize("tilts", [[3], [9, 0, 4], list(range(10))])
@pytest.mark.parametrize(("channels", "slices"), [(1, 1), (3, 70)])
def test_a_subset_of_the_tilts(
    projector_of: MakeProjector, channels: int, slices: int, tilts: list[int]
) -> None:
    """Its projections are those of all tilts, bit for bit, and those at other tilts have no part."""
    geometry = GEOMETRIES["shifted"]
    whole, some = projector_of(geometry, channels, slices), projector_of(geometry, channels, slices, tilts)
    others = np.setdiff1d(np.arange(10), tilts)
    expected = whole.forward(random_input(whole.domain_shape))
    expected[:, others] = 0
    y = random_input(whole.range_shape)
    some.adjoint(y)  # leaves nothing behind
    np.testing.assert_array_equal(some.forward(random_input(whole.domain_shape)), expected)
    changed = y.copy()
    changed[:, others] = 7
    np.testing.assert_array_equal(some.adjoint(changed), some.adjoint(y))
    changed[:, others] = 0
    np.testing.assert_allclose(some.adjoint(y), whole.adjoint(changed), atol=1e-5)
    assert dot_test(some, dtype=np.float32) < 1e-6


def test_what_falls_beside_the_detector_is_lost(projector_of: MakeProjector) -> None:
    operator = projector_of(ParallelBeam([0, 30], 4, (5, 5), detector_axis=99), 1, 2)
    assert not operator.forward(np.ones(operator.domain_shape, np.float32)).any()
    assert not operator.adjoint(np.ones(operator.range_shape, np.float32)).any()


def test_channels_and_slices_do_not_mix(projector_of: MakeProjector) -> None:
    """One channel and slice of ones: nothing elsewhere, and the same wherever it is."""
    geometry = GEOMETRIES["centred"]
    operator = projector_of(geometry, 3, 70)
    expected = Projector(geometry, 1, 1).forward(np.ones((1, 12, 1, 12)))[0, :, 0]
    for channel, y in [(0, 0), (1, 63), (2, 64), (2, 69)]:
        volume = np.zeros(operator.domain_shape, np.float32)
        volume[channel, :, y] = 1
        projections = operator.forward(volume)
        np.testing.assert_allclose(projections[channel, :, y], expected, atol=1e-5)
        projections[channel, :, y] = 0
        assert not projections.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_of_the_result_and_out(
    projector_of: MakeProjector, direction: str, dtype: npt.DTypeLike
) -> None:
    operator = projector_of(GEOMETRIES["centred"], 2, 3)
    given, expected_shape = shapes(operator, direction)
    x = random_input(given, dtype)
    result = getattr(operator, direction)(x)
    assert result.dtype == dtype
    out = np.full(expected_shape, np.nan, dtype)
    assert getattr(operator, direction)(x, out=out) is out
    np.testing.assert_array_equal(out, result)


def test_inputs_are_untouched_in_any_memory_order(projector_of: MakeProjector, direction: str) -> None:
    operator = projector_of(GEOMETRIES["centred"], 2, 3)
    x = random_input(shapes(operator, direction)[0])
    expected = getattr(operator, direction)(x)
    other_order = np.asfortranarray(x)
    other_order.setflags(write=False)
    np.testing.assert_array_equal(getattr(operator, direction)(other_order), expected)
    np.testing.assert_array_equal(other_order, x)


def test_nothing_is_left_from_earlier_calls(projector_of: MakeProjector) -> None:
    operator = projector_of(GEOMETRIES["narrow detector"], 2, 3)
    x, y = random_input(operator.domain_shape), random_input(operator.range_shape)
    image, back_image = operator.forward(x), operator.adjoint(y)
    operator.forward(-x)
    operator.adjoint(-y)
    np.testing.assert_array_equal(operator.adjoint(y), back_image)
    np.testing.assert_array_equal(operator.forward(x), image)


def test_errors_name_both_sides(projector_of: MakeProjector, direction: str) -> None:
    operator = projector_of(GEOMETRIES["centred"], 2, 3)
    given, expected = shapes(operator, direction)
    apply = getattr(operator, direction)
    wrong = (*given[:-1], given[-1] + 1)
    with pytest.raises(DataError) as error:
        apply(np.zeros(wrong, np.float32))
    assert str(wrong) in str(error.value)
    assert str(given) in str(error.value)
    with pytest.raises(DataError, match="out: found an array of shape"):
        apply(np.zeros(given, np.float32), out=np.zeros((*expected, 1), np.float32))
    with pytest.raises(DataError, match="found an array of int32; expected float32 or float64"):
        apply(np.zeros(given, np.int32))
    with pytest.raises(DataError, match="found an array of float64; expected float32"):
        apply(np.zeros(given, np.float32), out=np.zeros(expected))


def test_no_channel_or_slice_is_an_error(projector_of: MakeProjector) -> None:
    with pytest.raises(DataError, match="found 0 channels and 1 slices; expected at least one each"):
        projector_of(GEOMETRIES["centred"], 0, 1)
    with pytest.raises(DataError, match="found 1 channels and 0 slices; expected at least one each"):
        projector_of(GEOMETRIES["centred"], 1, 0)
