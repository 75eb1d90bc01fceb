"""The version of the installed program."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["VERSION"]

try:
    VERSION = version("napari-chemtomo")
except PackageNotFoundError:  # run from a source tree that is not installed
    VERSION = "0+unknown"
