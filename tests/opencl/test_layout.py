"""The layout in device memory: nothing is lost, and everything is where the kernels expect it."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.opencl import DeviceInfo
from chemtomo.opencl.layout import Layout

CPU = DeviceInfo(0, "some CPU", "some platform", "cpu", 2**33, 8)
GPU = dataclasses.replace(CPU, name="some GPU", kind="gpu")

layouts = st.builds(
    Layout.for_device,
    channels=st.integers(1, 9),
    slices=st.integers(1, 200),
    device=st.sampled_from([CPU, GPU]),
)
edges = st.integers(1, 3)


def numbered(layout: Layout, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Every element another whole number from 1, so that float32 and sums are exact."""
    shape = (layout.channels, rows, layout.slices, columns)
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


@given(layout=layouts)
def test_sizes_fit_each_other(layout: Layout) -> None:
    assert layout.chunk % layout.width == 0
    assert layout.block % layout.width == 0
    assert layout.block % (layout.lanes_per_vector * layout.vectors) == 0
    assert layout.block >= layout.per_block * layout.chunk
    assert layout.chunks * layout.chunk >= layout.slices > (layout.chunks - 1) * layout.chunk
    assert layout.chunk // layout.width <= layout.group


@given(layout=layouts)
def test_few_lanes_are_wasted(layout: Layout) -> None:
    """Where the slices fill a chunk or more, as in any long run, at most about a third is padding."""
    lanes = layout.blocks * layout.block
    if layout.slices % 64 == 0:
        assert lanes == layout.channels * layout.slices
    if layout.chunks == 1 and layout.per_block == 1:
        assert lanes <= 4 / 3 * layout.channels * layout.slices + 4 * layout.channels


@given(layout=layouts, rows=edges, columns=edges)
def test_unpack_undoes_pack(layout: Layout, rows: int, columns: int) -> None:
    array = numbered(layout, rows, columns)
    packed = layout.pack(array)
    assert packed.shape == layout.shape(rows, columns)
    assert packed.dtype == np.float32
    assert packed.flags.c_contiguous
    np.testing.assert_array_equal(layout.unpack(packed), array)


@given(layout=layouts, rows=edges, columns=edges)
def test_lanes_are_where_the_kernels_look_for_them(layout: Layout, rows: int, columns: int) -> None:
    """The formula at the head of common.cl; what is nowhere in it is padding, and zero."""
    array = numbered(layout, rows, columns)
    packed = layout.pack(array)
    expected = np.zeros_like(packed)
    for c, y in np.ndindex(layout.channels, layout.slices):
        lane = (c % layout.per_block) * layout.chunk + y % layout.chunk
        block = (c // layout.per_block) * layout.chunks + y // layout.chunk
        expected[block, :, :, lane] = array[c, :, y]
    np.testing.assert_array_equal(packed, expected)


@given(layout=layouts, rows=edges, columns=edges, data=st.data())
def test_a_slice_is_that_of_the_volume(layout: Layout, rows: int, columns: int, data: st.DataObject) -> None:
    array = numbered(layout, rows, columns)
    y = data.draw(st.integers(0, layout.slices - 1))
    np.testing.assert_array_equal(layout.unpack_slice(layout.pack(array), y), array[:, :, y])


@given(layout=layouts, rows=edges, columns=edges)
def test_sums_and_maxima_of_channels(layout: Layout, rows: int, columns: int) -> None:
    array = numbered(layout, rows, columns)
    packed = layout.pack(array)
    sums = layout.sum_channels(packed)
    assert sums.dtype == np.float64
    np.testing.assert_array_equal(sums, array.sum(axis=(1, 2, 3), dtype=np.float64))
    np.testing.assert_array_equal(layout.max_channels(packed), array.max(axis=(1, 2, 3)))


def test_sums_are_kept_in_float64() -> None:
    """In float32 the ones would vanish beside 2^24."""
    layout = Layout.for_device(1, 3, CPU)
    array = np.array([2**24, 1, 1], np.float32).reshape(1, 1, 3, 1)
    assert layout.sum_channels(layout.pack(array)) == [2**24 + 2]


@pytest.mark.parametrize("device", [CPU, GPU], ids=["cpu", "gpu"])
def test_pack_takes_any_type_and_order_and_leaves_it_alone(device: DeviceInfo) -> None:
    layout = Layout.for_device(2, 5, device)
    array = np.asfortranarray(np.random.default_rng(0).random((2, 3, 5, 4)))
    before = array.copy()
    array.setflags(write=False)
    np.testing.assert_array_equal(layout.unpack(layout.pack(array)), array.astype(np.float32))
    np.testing.assert_array_equal(array, before)
