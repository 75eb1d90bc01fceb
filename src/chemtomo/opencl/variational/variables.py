"""The variables of a primal-dual iteration in the memory of a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.errors import DataError
from chemtomo.functionals import Problem
from chemtomo.opencl.device import DeviceInfo
from chemtomo.opencl.layout import Layout, WorkRange
from chemtomo.opencl.projector import DeviceProjection
from chemtomo.opencl.queue import Queue
from chemtomo.opencl.upload import Upload, marked

__all__ = ["DeviceVariables", "upload_ahead"]


class DeviceVariables:
    """The variables of one problem in buffers on a device, with its data, projector and queue.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    device : DeviceInfo
        Where.
    upload : Upload, optional
        The data, if it was sent ahead: see `upload_ahead`.

    Attributes
    ----------
    u, w, p, q, r, s
        Buffers of the variables, see `chemtomo.solvers.backend`; `s` has one element until
        `require_positivity_dual`, and `w` and `q` where the method has none.
    u_extrapolated, w_extrapolated
        Buffers of the extrapolations.
    scratch, projected
        Buffers of a volume and of a sinogram for intermediate results.
    data, background, pixel_weights
        Buffers of the data; the others are not read where the problem has none.
    projection_weights, projection_terms : list of float
        Weight of the data term of every projection, in the order (channel, tilt), and 1 where it is
        Kullback-Leibler, else 0.
    over_relaxed : bool
        Whether there were updates with a relaxation above 1, by which dual variables leave their balls.

    Raises
    ------
    DeviceMemoryError
        When the device cannot hold the variables.
    """

    def __init__(self, problem: Problem, device: DeviceInfo, upload: Upload | None = None) -> None:
        self.problem = problem
        channels, nz, slices, nx = problem.volume_shape
        self.layout = Layout.for_device(channels, slices, device)
        self.defines = self.layout.defines() | {
            "DIMS": problem.dims,
            "COUPLED": int(problem.coupling != "none"),
            "NUCLEAR": int(problem.coupling == "nuclear"),
            "SECOND_ORDER": int(problem.second_order),
            "KULLBACK_LEIBLER": 2 if isinstance(problem.data_term, tuple) else int(problem.data_term == "kl"),
            "PIXEL_WEIGHTS": int(problem.pixel_weights is not None),
            "BACKGROUND": int(problem.background is not None),
            "VALIDITY": int(problem.valid is not None),
        }
        self.queue = Queue(device, self.defines | {"POSITIVITY_DUAL": 0})
        self.size = (np.int32(nz), np.int32(slices), np.int32(nx), np.int32(self.layout.chunks))
        self.volume_shape = self.layout.shape(nz, nx)
        self.sinogram_shape = self.layout.shape(*problem.geometry.sinogram_shape)
        self.over_relaxed = False
        self._allocate(upload)
        self.projection = DeviceProjection(
            self.queue, self.layout, problem.geometry, 1 / problem.operator_norm
        )
        self._constants: dict[tuple[float, ...], Any] = {}

    def _allocate(self, upload: Upload | None) -> None:
        volume, rays, zeros = self.volume_shape, self.sinogram_shape, self.queue.zeros
        components = self.problem.dims
        pairs = components * (components + 1) // 2
        one = (1,)  # stands in for what a method does not have
        second = self.problem.second_order
        self.u, self.u_extrapolated = zeros(volume), zeros(volume)
        self.w = zeros((components, *volume) if second else one)
        self.w_extrapolated = zeros((components, *volume) if second else one)
        self.p = zeros((components, *volume))
        self.q = zeros((pairs, *volume) if second else one)
        self.s = zeros(one)
        self.scratch = zeros(volume)
        self.r, self.projected = zeros(rays), zeros(rays)
        if upload is None:
            sent = [self.queue.upload(array) for array in _packed(self.problem, self.layout)]
        else:
            sent = [self.queue.adopt(buffer) for buffer in upload.take()]
        # In the order of _packed; what the problem has not got is not read.
        self.data = sent[0]
        self.background = sent[1] if self.problem.background is not None else self.data
        self.pixel_weights = sent[-1]
        self._sent = sent
        self._set_weights()

    def _set_weights(self) -> None:
        discrepancy = self.problem.discrepancy
        self.projection_weights: list[float] = (
            (discrepancy.weight[:, np.newaxis] * discrepancy.tilt_weight).ravel().tolist()
        )
        flags = np.array([float(term == "kl") for term in self.problem.terms])
        self.projection_terms: list[float] = flags.repeat(self.problem.geometry.tilts).tolist()

    def change_data(self, problem: Problem) -> None:
        """Take the data and the weights of a problem that is the same otherwise."""
        self.problem = problem
        for buffer, array in zip(self._sent, _packed(problem, self.layout), strict=True):
            self.queue.write(buffer, array)
        self._set_weights()

    def project(self, volume: Any) -> None:
        """Write ``A`` of a volume to `projected`."""
        self.projection.forward(volume, self.projected)
        if self.problem.factors is not None:
            self.queue.run("binning", "bin_cells", *self._pixel_range, self.projected, *self._cells)

    def back_project(self, sinogram: Any) -> None:
        """Write ``A^T`` of a sinogram to `scratch`; `projected` is overwritten where channels are binned."""
        if self.problem.factors is not None:
            self.queue.run(
                "binning", "spread_cells", *self._pixel_range, sinogram, self.projected, *self._cells
            )
            sinogram = self.projected
        self.projection.adjoint(sinogram, self.scratch)

    @property
    def _pixel_range(self) -> WorkRange:
        """Size and work group of kernels with a work item for every single pixel."""
        _, tilts, detectors, _ = self.sinogram_shape
        block = self.layout.block
        return (block, detectors, self.layout.blocks * tilts), (block, max(1, self.layout.group // block), 1)

    @property
    def _cells(self) -> tuple[Any, ...]:
        factors = self.problem.factors or ()
        return self.constants(tuple(float(one) for one in factors)), *self.ray_size, self.size[1]

    def require_positivity_dual(self) -> None:
        """Give ``s`` its memory, and compile the kernels that update it."""
        if self.queue.defines["POSITIVITY_DUAL"]:
            return
        self.queue.release(self.s)
        self.s = self.queue.zeros(self.volume_shape)
        self.queue.redefine(self.defines | {"POSITIVITY_DUAL": 1})

    def reset(self) -> None:
        """Set every variable to zero."""
        self.over_relaxed = False
        for buffer in (
            self.u,
            self.u_extrapolated,
            self.w,
            self.w_extrapolated,
            self.p,
            self.q,
            self.s,
            self.r,
        ):
            self.queue.fill(buffer)

    def read(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the variables by their names: see `Backend.variables`."""
        for name, (buffer, shape) in self._named().items():
            yield name, self.layout.unpack_all(self.queue.read(buffer, shape))

    def write(self, variables: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Set the variables to what `read` gave."""
        for name, (buffer, _) in self._named().items():
            self.queue.write(buffer, self.layout.pack_all(variables[name]))

    def _named(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        volume, field = self.volume_shape, (self.problem.dims, *self.volume_shape)
        named = {"u": (self.u, volume), "U": (self.u_extrapolated, volume), "p": (self.p, field)}
        named["r"] = self.r, self.sinogram_shape
        if self.queue.defines["POSITIVITY_DUAL"]:
            named["s"] = self.s, volume
        if self.problem.second_order:
            pairs = self.problem.dims * (self.problem.dims + 1) // 2
            named |= {
                "w": (self.w, field),
                "W": (self.w_extrapolated, field),
                "q": (self.q, (pairs, *volume)),
            }
        return named

    def constants(self, numbers: tuple[float, ...]) -> Any:
        """Return a buffer of constants; equal ones are uploaded once."""
        if numbers not in self._constants:
            self._constants[numbers] = self.queue.upload(np.array(numbers, dtype=np.float32))
        return self._constants[numbers]

    def per_channel(self, numbers: tuple[float, ...]) -> tuple[float, ...]:
        """Return `numbers`, one per channel.

        Raises
        ------
        DataError
            When there are more or fewer.
        """
        if len(numbers) != self.problem.channels:
            raise DataError(
                f"step sizes: found {len(numbers)} for {self.problem.channels} channels; expected one each"
            )
        return tuple(numbers)

    def per_projection(self, numbers: tuple[float, ...]) -> tuple[float, ...]:
        """Repeat one number per channel for each of its projections; 0 where it has none."""
        table = np.array(self.per_channel(numbers))[:, np.newaxis] * self.problem.recorded
        return tuple(table.ravel().tolist())

    @property
    def voxel_range(self) -> WorkRange:
        """Size and work group of kernels that go through all voxels."""
        _, rows, columns, _ = self.volume_shape
        return self.layout.chunk_range(rows, columns)

    @property
    def row_range(self) -> WorkRange:
        """Size and work group of kernels that go through all rows of the volume."""
        return self.layout.row_range(self.volume_shape[1])

    @property
    def ray_range(self) -> WorkRange:
        """Size and work group of kernels that go through all detector pixels."""
        _, tilts, detectors, _ = self.sinogram_shape
        return self.layout.block_range(detectors, tilts)

    @property
    def ray_size(self) -> tuple[np.int32, np.int32, np.int32]:
        """Tilts, detector pixels and chunks, for the kernels."""
        _, tilts, detectors, _ = self.sinogram_shape
        return np.int32(tilts), np.int32(detectors), self.size[3]


def upload_ahead(problem: Problem, device: DeviceInfo, executor: Executor) -> Upload:
    """Send the data of a problem to the device while another computation runs there.

    Parameters
    ----------
    problem : Problem
        That of the `OpenCLBackend` that will take the data.
    device : DeviceInfo
        Where.
    executor : concurrent.futures.Executor
        Gives the thread.
    """
    channels, _, slices, _ = problem.volume_shape
    layout = Layout.for_device(channels, slices, device)
    return Upload(executor, device, lambda: _packed(problem, layout))


def _packed(problem: Problem, layout: Layout) -> list[npt.NDArray[np.float32]]:
    """Return the data, and background and weights of the pixels where there are any, as on the device."""
    packed = [layout.pack(marked(problem.data, problem.valid))]
    if problem.background is not None:
        packed.append(layout.pack(problem.background))
    if problem.pixel_weights is not None:
        packed.append(layout.pack(problem.pixel_weights - 1) + 1)  # 1 where no pixel is: it is divided by
    return packed
