"""Choose, reorder and rename signals."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from chemtomo.data import Dataset
from chemtomo.errors import ParameterError
from chemtomo.preprocess.operation import Operation

__all__ = ["Select"]


class Select(Operation):
    """Keep some of the signals, in the order in which they are named."""

    title: ClassVar[str] = "Choose channels"
    operation: ClassVar[str] = "select"
    main: ClassVar[str | None] = "channels"
    names: tuple[str, ...] = Field(
        (), title="New names", description="New names of the channels, one each; their own if not given."
    )

    def apply(self, dataset: Dataset) -> Dataset:
        """Keep the chosen signals. See `Operation.apply`."""
        chosen = self.chosen(dataset)
        names = self.names or chosen
        if len(names) != len(chosen):
            raise ParameterError(
                f"select: found {len(names)} new names for {len(chosen)} channels; expected one each"
            )
        return Dataset(
            tuple(
                self._recorded(dataset[old], dataset[old].replace(name=new))
                for old, new in zip(chosen, names, strict=True)
            )
        )
