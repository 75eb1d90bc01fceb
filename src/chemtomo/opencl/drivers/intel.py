"""Intel's OpenCL driver for CPUs, where pip has installed it.

The wheel ``intel-opencl-rt`` puts the driver into the environment of Python, where no loader looks: the
``.icd`` file of the wheel names a folder of the computer that the wheel was made on. So this module tells
the loader where the library is, while the loader makes its list of drivers, which it does once. The
user's own list, in the variables of the loader, is left alone.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["announced", "installed_library"]

_PACKAGE = "intel-opencl-rt"
_LIBRARIES = {"linux": "libintelocl.so", "win32": "intelocl64.dll"}
_FOLDER_VARIABLES = ("OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH")  # Linux: a folder with files *.icd
_FILES_VARIABLE = "OCL_ICD_FILENAMES"  # Windows: libraries, beside those of the registry


def installed_library(system: str = sys.platform) -> Path | None:
    """Return the path of the driver that pip has installed; None where there is none.

    Parameters
    ----------
    system : str
        As in `sys.platform`.
    """
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [Path(str(file.locate())).resolve() for file in files if file.name == _LIBRARIES.get(system)]
    return next((path for path in paths if path.is_file()), None)


@contextlib.contextmanager
def announced(system: str = sys.platform, vendors: Sequence[Path] | None = None) -> Iterator[None]:
    """Let the loader find the installed driver, beside all others, if it makes its list within this block.

    Parameters
    ----------
    system : str
        As in `sys.platform`.
    vendors : sequence of pathlib.Path, optional
        Folders of the system's ``.icd`` files on Linux. The one folder that the loader is given instead
        has copies of these files.
    """
    library = installed_library(system)
    own_list = _FOLDER_VARIABLES if system == "linux" else (_FILES_VARIABLE,)
    if library is None or any(os.environ.get(variable) for variable in own_list):
        yield
    elif system == "linux":
        with tempfile.TemporaryDirectory(prefix="chemtomo-opencl-") as folder:
            _write_list(Path(folder), library, _system_vendors() if vendors is None else vendors)
            with _environment(_FOLDER_VARIABLES[0], folder):
                yield
    else:
        _search_for_libraries_in(library.parent)
        with _environment(_FILES_VARIABLE, str(library)):
            yield


def _system_vendors() -> list[Path]:
    """Return the folders where the loaders of the system and of conda look."""
    folders = [Path("/etc/OpenCL/vendors")]
    if Path(sys.prefix, "conda-meta").is_dir():
        folders.insert(0, Path(sys.prefix, "etc", "OpenCL", "vendors"))
    return folders


def _write_list(folder: Path, library: Path, vendors: Sequence[Path]) -> None:
    """Write a file ``.icd`` for the library and for each that is in other folders, none twice."""
    lines = [str(library)]
    for file in (file for vendor in vendors for file in sorted(vendor.glob("*.icd"))):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            lines += file.read_text(encoding="utf-8").splitlines()[:1]
    libraries = {
        Path(line).resolve() if Path(line).is_absolute() else line: line
        for line in map(str.strip, lines)
        if line
    }
    for number, line in enumerate(libraries.values()):
        folder.joinpath(f"{number:02}.icd").write_text(f"{line}\n", encoding="utf-8")


def _search_for_libraries_in(folder: Path) -> None:
    """Let Windows find what the driver loads, now and later: by the list of Python and by the path."""
    add_folder = getattr(os, "add_dll_directory", None)
    if add_folder is not None:
        add_folder(str(folder))
    path = os.environ.get("PATH", "")
    if str(folder) not in path.split(os.pathsep):
        os.environ["PATH"] = f"{folder}{os.pathsep}{path}"


@contextlib.contextmanager
def _environment(variable: str, value: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
