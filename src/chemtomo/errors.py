"""The exceptions that ChemTomo raises on purpose.

Each message says where, what was found and what was expected.
They are classes of our own because a builtin ``RuntimeError`` that is raised inside a
napari worker disappears.
"""

__all__ = [
    "ChemTomoError",
    "DataError",
    "DeviceError",
    "DeviceMemoryError",
    "NoTiltsError",
    "ParameterError",
    "ReadError",
    "SolverError",
    "WriteError",
]


class ChemTomoError(Exception):
    """Base of every error that ChemTomo raises on purpose."""


class DataError(ChemTomoError, ValueError):
    """Arrays, names, tilts or sizes that do not fit together."""


class ParameterError(ChemTomoError, ValueError):
    """A parameter that is out of bounds or names something that is not there."""


class ReadError(ChemTomoError, OSError):
    """A file that cannot be read as what it claims to be."""


class NoTiltSeriesError(ReadError):
    """A valid file without tilt series. In a folder such files are left out."""


class NoTiltsError(ReadError):
    """Projections without tilts in any file: the user has to give them.

    Attributes
    ----------
    projections : int
        Number of projections.
    from_names : bool
        Whether the names of the files look like tilts.
    """

    def __init__(self, message: str, projections: int, from_names: bool = False) -> None:
        super().__init__(message)
        self.projections = projections
        self.from_names = from_names


class WriteError(ChemTomoError, OSError):
    """A result that cannot be written to the given path."""


class DeviceError(ChemTomoError):
    """No usable compute device, or one that failed."""


class DeviceMemoryError(DeviceError):
    """A compute device without enough memory for what was asked."""


class SolverError(ChemTomoError):
    """An iteration that cannot continue."""
