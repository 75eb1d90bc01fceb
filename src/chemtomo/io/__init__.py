"""Files in, files out: one module per format family behind one `read` and one `write`."""

from chemtomo.io.assemble import Contents, contents, read
from chemtomo.io.formats import FORMATS, TiltSeriesFormat, readable_suffixes
from chemtomo.io.outputs import OUTPUT_FORMATS, Written, check_output
from chemtomo.io.read_volumes import is_volume, read_volume
from chemtomo.io.volumes import write
from chemtomo.io.write_series import write_dataset

__all__ = [
    "FORMATS",
    "OUTPUT_FORMATS",
    "Contents",
    "TiltSeriesFormat",
    "Written",
    "check_output",
    "contents",
    "is_volume",
    "read",
    "read_volume",
    "readable_suffixes",
    "write",
    "write_dataset",
]
