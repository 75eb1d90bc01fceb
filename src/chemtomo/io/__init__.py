"""Files in, files out: one module per format family behind one `read` and one `write`."""

from chemtomo.io.assemble import Contents, contents, read
from chemtomo.io.formats import FORMATS, TiltSeriesFormat, readable_suffixes
from chemtomo.io.volumes import check_output, read_volume, write
from chemtomo.io.write_series import write_dataset

__all__ = [
    "FORMATS",
    "Contents",
    "TiltSeriesFormat",
    "check_output",
    "contents",
    "read",
    "read_volume",
    "readable_suffixes",
    "write",
    "write_dataset",
]
