"""The tilts of a series: angle files, ``.mdoc`` files and file names; their unit, and the tilt axis."""

from chemtomo.io.tilts.sources import FROM_NAMES, TiltsArgument, given_tilts, parse_tilts

__all__ = ["FROM_NAMES", "TiltsArgument", "given_tilts", "parse_tilts"]
