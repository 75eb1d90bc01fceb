"""Reading and writing files: one folder per format behind one `read` and one `write`."""

from chemtomo.io.assembly.hyperspy_signals import from_hyperspy
from chemtomo.io.assembly.source_files import may_hold_tilt_series
from chemtomo.io.assembly.spectra import assemble_spectra, describe_spectra, read_spectra
from chemtomo.io.assembly.tilt_series import Contents, contents, read
from chemtomo.io.formats.file_format import FileFormat, OutputFormat
from chemtomo.io.formats.registry import FORMATS, readable_suffixes
from chemtomo.io.formats.target import Written, check_free
from chemtomo.io.inputs import check_targets, files_of_output, input_files
from chemtomo.io.mask import read_mask
from chemtomo.io.outputs import OUTPUT_FORMATS, check_output
from chemtomo.io.volumes import is_volume, read_volume, recipe_of_volume
from chemtomo.io.writing import write, write_dataset

__all__ = [
    "FORMATS",
    "OUTPUT_FORMATS",
    "Contents",
    "FileFormat",
    "OutputFormat",
    "Written",
    "assemble_spectra",
    "check_free",
    "check_output",
    "check_targets",
    "contents",
    "describe_spectra",
    "files_of_output",
    "from_hyperspy",
    "input_files",
    "is_volume",
    "may_hold_tilt_series",
    "read",
    "read_mask",
    "read_spectra",
    "read_volume",
    "readable_suffixes",
    "recipe_of_volume",
    "write",
    "write_dataset",
]
