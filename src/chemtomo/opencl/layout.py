"""The layout of volumes and sinograms in device memory, and the tuning of kernels to a device.

See ``kernels/common.cl`` for the layout. Everything that depends on the kind of device is chosen
here: the width of the vectors, the lanes of a block and of a work item, and the work-group sizes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.opencl.device import DeviceInfo

__all__ = ["Layout", "WorkRange"]

WorkRange = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Global size and work group of a kernel."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Memory layout of a problem's volumes and sinograms.

    Attributes
    ----------
    channels, slices : int
        What is stored.
    width : int
        Slices in one vector of a regulariser kernel.
    chunk : int
        Slices of a channel in one block, a multiple of `width`.
    per_block : int
        Channels in one block.
    block : int
        Lanes of a block, at least ``per_block * chunk``.
    lanes_per_vector, vectors : int
        Number of lanes per vector, and of vectors per work item, of the projector kernels.
    group : int
        Intended number of work items in a work group.
    cache_bytes : int
        Size of the part of a volume that is projected at a time; 0 for all of it.
    """

    channels: int
    slices: int
    width: int
    chunk: int
    per_block: int
    block: int
    lanes_per_vector: int
    vectors: int
    group: int
    cache_bytes: int = 0

    @classmethod
    def for_device(cls, channels: int, slices: int, device: DeviceInfo) -> Layout:
        """Choose the layout for a number of channels and slices on a device.

        On a CPU a work item owns a vector, because the compiler may not find it across work items;
        64 lanes (four to eight registers) share the index arithmetic. On a GPU neighbouring work items
        are the vector, and four lanes each hide the latency of a load.
        """
        lanes = 64
        if device.kind == "gpu":
            chunk = min(slices, lanes)
            width, group, cache_bytes = 1, 128, 0
        else:
            width = _vector_width(slices)
            # All channels of a slice are adjacent: with four channels a quarter of the memory streams.
            chunk = min(_round_up(slices, width), max(width, lanes // channels // width * width))
            group = 64
            cache_bytes = 1_500_000  # about the cache of one core
        groups = -(-channels // max(1, lanes // chunk))
        per_block = -(-channels // groups)
        block = per_block * chunk
        if block > 2:
            block = _round_up(block, 4)
        if device.kind == "gpu":
            lanes_per_vector = 4 if block % 4 == 0 else 1
            vectors = 1
        else:
            lanes_per_vector = next(size for size in (8, 4, 2, 1) if block % size == 0)
            vectors = block // lanes_per_vector
        return cls(
            channels, slices, width, chunk, per_block, block, lanes_per_vector, vectors, group, cache_bytes
        )

    @property
    def chunks(self) -> int:
        """Blocks along y."""
        return -(-self.slices // self.chunk)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.channels // self.per_block) * self.chunks

    def rows_per_band(self, columns: int) -> int:
        """Rows of a volume that stay in the cache while all tilts are projected; 0 for no limit."""
        return max(1, self.cache_bytes // (4 * self.block * columns)) if self.cache_bytes else 0

    def defines(self) -> dict[str, int]:
        """Return the constants that the kernels are compiled with."""
        return {
            "WIDTH": self.width,
            "CHUNK": self.chunk,
            "PER_BLOCK": self.per_block,
            "BLOCK": self.block,
            "CHANNELS": self.channels,
            "K_WIDTH": self.lanes_per_vector,
            "VECTORS": self.vectors,
        }

    def chunk_range(self, rows: int, columns: int) -> WorkRange:
        """Global size and work group: one work item for every vector of a chunk, every column and row."""
        items = self.chunk // self.width
        return (items, columns, rows * self.chunks), (items, max(1, self.group // items), 1)

    def row_range(self, rows: int, channels: int = 1) -> WorkRange:
        """Global size and work group: one work item for every vector of a chunk, every channel and row."""
        items = self.chunk // self.width
        return (items, channels, rows * self.chunks), (items, 1, 1)

    def block_range(self, columns: int, rows: int = 1) -> WorkRange:
        """Global size and work group: one work item for every vector of a block, every column and row."""
        items = self.block // self.width
        return (items, columns, rows * self.blocks), (items, max(1, self.group // items), 1)

    def shape(self, rows: int, columns: int) -> tuple[int, int, int, int]:
        """Shape in memory of a volume (nz, nx) or a sinogram (tilt, detector)."""
        return self.blocks, rows, columns, self.block

    def pack(self, array: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Bring (channel, row, y, column) into the device's order, shape `shape`."""
        channels, rows, _, columns = array.shape
        whole = np.zeros(self._expanded(rows, columns), dtype=np.float32)
        for c in range(channels):
            for chunk in range(self.chunks):
                part = array[c, :, chunk * self.chunk : (chunk + 1) * self.chunk]
                target = whole[c // self.per_block, chunk, :, :, c % self.per_block]
                target[:, :, : part.shape[1]] = part.transpose(0, 2, 1)
        return self._add_spare_lanes(whole).reshape(self.shape(rows, columns))

    def unpack(self, packed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (channel, row, y, column) of an array in the device's order."""
        _, rows, columns, _ = packed.shape
        result = np.empty((self.channels, rows, self.slices, columns), dtype=np.float32)
        whole = self._without_spare_lanes(packed)
        for c in range(self.channels):
            for chunk in range(self.chunks):
                target = result[c, :, chunk * self.chunk : (chunk + 1) * self.chunk]
                source = whole[c // self.per_block, chunk, :, :, c % self.per_block]
                target[...] = source[:, :, : target.shape[1]].transpose(0, 2, 1)
        return result

    def pack_all(self, arrays: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Bring (..., channel, row, y, column) into the device's order, shape (..., *`shape`)."""
        if arrays.ndim == 4:
            return self.pack(arrays)
        return np.stack([self.pack_all(one) for one in arrays])

    def unpack_all(self, packed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (..., channel, row, y, column) of arrays in the device's order."""
        if packed.ndim == 4:
            return self.unpack(packed)
        return np.stack([self.unpack_all(one) for one in packed])

    def unpack_slice(self, packed: npt.NDArray[np.float32], y: int) -> npt.NDArray[np.float32]:
        """Return the slice `y` of an array in the device's order, shape (channel, row, column)."""
        whole = self._without_spare_lanes(packed)
        return np.stack(
            [
                whole[c // self.per_block, y // self.chunk, :, :, c % self.per_block, y % self.chunk]
                for c in range(self.channels)
            ]
        )

    def sum_channels(self, partial: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Sum an array (block, ..., lane) over everything but the channel, in float64."""
        lanes = partial.reshape(self.blocks, -1, self.block).sum(axis=1, dtype=np.float64)
        sums: npt.NDArray[np.float64] = self._by_channel(lanes).sum(axis=(1, 2))
        return sums

    def sum_slices(self, partial: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Sum an array (block, ..., lane) over everything but channel and slice, in float64."""
        lanes = partial.reshape(self.blocks, -1, self.block).sum(axis=1, dtype=np.float64)
        return self._by_channel(lanes).reshape(self.channels, -1)[:, : self.slices]

    def max_channels(self, partial: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Maximum of an array (block, ..., lane) over everything but the channel."""
        lanes = partial.reshape(self.blocks, -1, self.block).max(axis=1).astype(np.float64)
        largest: npt.NDArray[np.float64] = self._by_channel(lanes).max(axis=(1, 2))
        return largest

    def _by_channel(self, lanes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(block, lane) -> (channel, chunk, lane of the chunk)."""
        used = lanes[:, : self.per_block * self.chunk]
        parts = used.reshape(-1, self.chunks, self.per_block, self.chunk).transpose(0, 2, 1, 3)
        return parts.reshape(-1, self.chunks, self.chunk)[: self.channels]

    def _expanded(self, rows: int, columns: int) -> tuple[int, ...]:
        groups = -(-self.channels // self.per_block)
        return groups, self.chunks, rows, columns, self.per_block, self.chunk

    def _add_spare_lanes(self, whole: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        flat = whole.reshape(*whole.shape[:4], self.per_block * self.chunk)
        spare = self.block - flat.shape[-1]
        return np.pad(flat, [(0, 0)] * 4 + [(0, spare)]) if spare else flat

    def _without_spare_lanes(self, packed: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        _, rows, columns, _ = packed.shape
        used = packed[..., : self.per_block * self.chunk]
        return used.reshape(self._expanded(rows, columns))


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _vector_width(slices: int) -> int:
    """Widest of 8, 4, 2 and 1 that leaves at most a third of the lanes empty."""
    for width in (8, 4, 2):
        if _round_up(slices, width) * 3 <= slices * 4:
            return width
    return 1
