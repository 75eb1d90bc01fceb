"""Several signals of one sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chemtomo.data.alignment import Alignment
from chemtomo.data.notebook.html import card, image_picture, range_text
from chemtomo.data.tilt_series import TiltSeries
from chemtomo.errors import DataError, ParameterError

__all__ = ["Dataset", "resolve_name"]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Named signals in one frame of the sample.

    Attributes
    ----------
    series : tuple of TiltSeries
        The signals, with different names.

    Raises
    ------
    DataError
        When there is no series, or two have the same name.
    """

    series: tuple[TiltSeries, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "series", tuple(self.series))
        if not self.series:
            raise DataError("a dataset needs at least one tilt series; found none")
        seen: dict[str, TiltSeries] = {}
        for one in self.series:
            if one.name in seen:
                raise DataError(
                    f"two tilt series are named {one.name!r} "
                    f"(from {seen[one.name].source or 'memory'} and {one.source or 'memory'}); "
                    "expected different names"
                )
            seen[one.name] = one

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals, in order."""
        return tuple(one.name for one in self.series)

    def __iter__(self) -> Iterator[TiltSeries]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, name: str) -> TiltSeries:
        return self.series[self.names.index(self.resolve(name))]

    def resolve(self, name: str) -> str:
        """Return the full name of the channel that `name`, or a unique prefix of it, means.

        Raises
        ------
        ParameterError
            When no channel, or more than one, starts with `name`.
        """
        return resolve_name(name, self.names)

    def require_common_geometry(self) -> None:
        """Raise `DataError` unless all series have the same rows, columns, pixel size and tilt axis.

        Their tilts may differ.
        """
        first = self.series[0]
        for other in self.series[1:]:
            pair = f"tilt series {first.name!r} and {other.name!r}"
            if not np.isclose(first.pixel_size_nm, other.pixel_size_nm, rtol=1e-3):
                raise DataError(
                    f"{pair} have pixels of {first.pixel_size_nm:g} and "
                    f"{other.pixel_size_nm:g} nm; expected the same pixel size. Bin the finer, or link it"
                )
            if first.shape[1:] != other.shape[1:]:
                raise DataError(
                    f"{pair} have projections of {first.shape[1:]} and {other.shape[1:]} pixels; expected "
                    "the same rows and columns. Crop or bin them alike, or link one to the other"
                )
            if not np.isclose(first.axis_position, other.axis_position, rtol=0, atol=1e-3):
                raise DataError(
                    f"{pair} have the tilt axis at x = {first.axis_position:g} and "
                    f"{other.axis_position:g}; expected the same position"
                )

    def map(self, function: Callable[[TiltSeries], TiltSeries]) -> Dataset:
        """Return a dataset with `function` applied to every series."""
        return Dataset(tuple(function(one) for one in self.series))

    def with_alignment(self, alignment: Alignment | Mapping[str, Alignment]) -> Dataset:
        """Return a dataset whose series have an alignment; the values stay as they were recorded.

        Parameters
        ----------
        alignment : Alignment or mapping of str to Alignment
            One for all series, which must have its tilts and pixels, or those of single channels by their
            names. `chemtomo.link` carries an alignment to channels with other tilts or pixels.

        Raises
        ------
        DataError
            When it is for other projections.
        ParameterError
            When there is no such channel.
        """
        if isinstance(alignment, Alignment):
            chosen = dict.fromkeys(self.names, alignment)
        else:
            chosen = {self.resolve(name): one for name, one in alignment.items()}
        for name, one in chosen.items():
            series = self[name]
            if one.tilts_deg.shape != series.tilts_deg.shape or one.shape not in (None, series.shape[1:]):
                raise DataError(
                    f"tilt series {name!r}: found an alignment for {one.tilts_deg.size} projections of "
                    f"{one.shape} pixels; expected {series.shape[0]} of {series.shape[1:]}. "
                    "chemtomo.link carries it to other tilts and pixels"
                )
        return self.map(lambda one: one.replace(alignment=chosen[one.name]) if one.name in chosen else one)

    def _repr_html_(self) -> str:
        rows = [
            (
                one.name,
                f"{' × '.join(map(str, one.shape))}, {one.kind}, tilts {range_text(one.tilts_deg, '°')}",
            )
            for one in self.series
        ]
        pictures = [(one.name, lambda one=one: image_picture(one.middle_projection())) for one in self.series]
        return card(f"Dataset of {len(self)} tilt series", rows, pictures)

    def to_hyperspy(self) -> list[Any]:
        """Return a HyperSpy signal for each series, see `TiltSeries.to_hyperspy`."""
        return [one.to_hyperspy() for one in self.series]

    def select(self, names: Sequence[str]) -> Dataset:
        """Return a dataset of the named channels (full names or unique prefixes), in that order."""
        return Dataset(tuple(self[name] for name in names))


def resolve_name(name: str, names: Sequence[str]) -> str:
    """Return the one of `names` that is `name`, or the only one that starts with it.

    Raises
    ------
    ParameterError
        When none, or more than one, starts with `name`.
    """
    if name in names:
        return name
    found = [full for full in names if full.startswith(name)]
    if len(found) == 1:
        return found[0]
    what = f"fits {', '.join(found)}" if found else "fits none"
    raise ParameterError(f"channel {name!r} {what}; expected one of {', '.join(names)} or a unique prefix")
