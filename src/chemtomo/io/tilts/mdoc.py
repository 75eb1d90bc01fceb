"""The ``.mdoc`` files that SerialEM writes beside its images: text with a section for every image.

Format: the autodoc files of IMOD. ``Key = Value`` lines before the first section hold for the whole file;
``[ZValue = 3]`` starts the section of image 3 of a stack, ``[Image = name.tif]`` that of a file of its
own, and ``[FrameSet = 0]`` that of the frames of one exposure. ``[T = ...]`` is a title.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath

import numpy as np
import numpy.typing as npt

from chemtomo.data import to_nanometre
from chemtomo.errors import ReadError
from chemtomo.io.tilts.angle_files import read_text
from chemtomo.io.tilts.axis import axis_angle_in_text

__all__ = ["Mdoc", "MdocSection", "parse_mdoc", "read_mdoc"]

_SECTION = re.compile(r"\[\s*(\w+)\s*=\s*(.*?)\s*\]")
_ENTRY = re.compile(r"([A-Za-z_][\w./-]*)\s*=\s*(.*)")
_TITLE = "T"
_LARGEST_TILT = 360.0
_MAX_LINES = 400_000
_SAME_TILT_DEG = 0.05
_SAME_AXIS_DEG = 1.0
# From the image rotation of SerialEM to the tilt axis.
_QUARTER_TURN = 90.0


@dataclasses.dataclass(frozen=True)
class MdocSection:
    """The section of one image.

    Attributes
    ----------
    kind, value : str
        From its heading: ``"ZValue"`` and ``"3"``, for example.
    entries : mapping
        Its ``Key = Value`` lines as text.
    line : int
        Line of the heading in the file.
    """

    kind: str
    value: str
    entries: Mapping[str, str]
    line: int


@dataclasses.dataclass(frozen=True)
class Mdoc:
    """The content of an ``.mdoc`` file.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    entries : mapping
        Values that apply to all images, as text.
    titles : tuple of str
        The titles.
    sections : tuple of MdocSection
        The images, in the order of the file.
    """

    path: Path
    entries: Mapping[str, str]
    titles: tuple[str, ...]
    sections: tuple[MdocSection, ...]

    def tilts_deg(self) -> list[float] | None:
        """Return the tilt of every section in the order of the file; None when none has one.

        Raises
        ------
        ReadError
            When some sections have a tilt and others not, or one is no angle.
        """
        found = [self._number(one, "TiltAngle") for one in self.sections]
        tilts = [tilt for tilt in found if tilt is not None]
        if not tilts:
            return None
        if len(tilts) < len(found):
            missing = self.sections[found.index(None)]
            heading = f"[{missing.kind} = {missing.value}]"
            raise ReadError(
                f"{self.path}, line {missing.line}: found no TiltAngle for {heading}; "
                f"expected one in every section, as in {len(tilts)} of {len(found)}"
            )
        for tilt, section in zip(tilts, self.sections, strict=True):
            if abs(tilt) > _LARGEST_TILT:
                raise ReadError(
                    f"{self.path}, line {section.line}: found TiltAngle = {tilt:g}; expected degrees"
                )
        return tilts

    def stack_tilts_deg(self) -> npt.NDArray[np.float64] | None:
        """Return the tilts of the images of a stack, by the numbers that their headings give.

        SerialEM numbers the images of a stack from 0, and their sections need not be in that order.

        Raises
        ------
        ReadError
            When the numbers are not those of a stack: repeated, missing, or no numbers.
        """
        tilts = self.tilts_deg()
        if tilts is None:
            return None
        numbered = [one for one in self.sections if one.kind == "ZValue"]
        if len(numbered) < len(self.sections):
            return np.array(tilts)
        try:
            numbers = [int(one.value) for one in numbered]
        except ValueError:
            numbers = []
        if sorted(numbers) != list(range(len(tilts))):
            raise ReadError(
                f"{self.path}: found sections that are not numbered from 0 to {len(tilts) - 1}; "
                "expected one [ZValue = ...] for every image of the stack"
            )
        ordered = np.empty(len(tilts))
        ordered[numbers] = tilts
        return ordered

    @property
    def axis_angle_deg(self) -> float | None:
        """Tilt axis angle in IMOD's convention, from the vertical, counterclockwise; None if it is not given.

        From the title ``Tilt axis angle = ...``, or else from ``RotationAngle``. Frames that were saved
        unrotated from the camera (``RotationAndFlip``) do not have this orientation: None for these.

        See Also
        --------
        chemtomo.io.tilts.axis.axis_from_imod : converts it to array axes.
        """
        if any(one.entries.get("RotationAndFlip", "0").strip() not in ("0", "") for one in self.sections[:1]):
            return None
        for title in self.titles:
            said = axis_angle_in_text(title)
            if said is not None:
                return said
        try:
            angles = [float(one.entries["RotationAngle"]) for one in self.sections]
        except (KeyError, ValueError):
            return None
        if not angles or not max(angles) - min(angles) <= _SAME_AXIS_DEG or abs(angles[0]) > _LARGEST_TILT:
            return None
        return angles[0] - _QUARTER_TURN

    def require_no_montage(self) -> None:
        """Raise unless there is one image at a time, not a montage of several at every tilt.

        SerialEM gives the tiles of one tilt different ``PieceCoordinates``. The key ``Montage`` alone proves
        nothing: files with one image per tilt have it too.

        Raises
        ------
        ReadError
            When images of one tilt are at different places.
        """
        places: dict[float, set[tuple[str, ...]]] = {}
        for section in self.sections:
            tilt, place = (
                section.entries.get("TiltAngle"),
                section.entries.get("PieceCoordinates", "").split(),
            )
            if tilt is None or len(place) < 2:
                continue
            number = self._number(section, "TiltAngle") or 0.0
            nearest = next((one for one in places if abs(one - number) <= _SAME_TILT_DEG), number)
            places.setdefault(nearest, set()).add(tuple(place[:2]))
        tiles = max((len(one) for one in places.values()), default=0)
        if tiles > 1:
            raise ReadError(
                f"{self.path}: found a montage, {tiles} tiles at a tilt (PieceCoordinates); expected one "
                "image per tilt. Blend the tiles first, for example with IMOD's blendmont"
            )

    @property
    def is_frame_set(self) -> bool:
        """Whether it describes the dose frames of one exposure."""
        return len(self.sections) == 1 and self.sections[0].kind == "FrameSet"

    @property
    def pixel_size_nm(self) -> float | None:
        """Pixel size in nanometres; None if the file does not give it."""
        for entries in (self.entries, *(one.entries for one in self.sections[:1])):
            text = entries.get("PixelSpacing")
            if text is None:
                continue
            try:
                angstrom = float(text)
            except ValueError:
                angstrom = math.nan
            if not math.isfinite(angstrom):
                raise ReadError(f"{self.path}: found PixelSpacing = {text[:40]!r}; expected angstrom")
            if angstrom > 0:
                return float(f"{to_nanometre(angstrom, 'angstrom'):.6g}")
        return None

    def image_names(self) -> list[str] | None:
        """Return the file name of every section; None if the images are one stack.

        Folders are dropped: the paths are those of the recording computer.
        """
        names: list[str] = []
        for section in self.sections:
            found = section.value if section.kind == "Image" else ""
            found = found or section.entries.get("ImageFile", "") or section.entries.get("SubFramePath", "")
            if not found:
                return None
            names.append(PureWindowsPath(found).name)
        return names or None

    def _number(self, section: MdocSection, key: str) -> float | None:
        text = section.entries.get(key)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ReadError(
                f"{self.path}, line {section.line}: found {key} = {text[:40]!r}; expected a number"
            )
        return number


def read_mdoc(path: Path) -> Mdoc:
    """Read an ``.mdoc`` file, of up to 400 000 lines.

    Raises
    ------
    ReadError
        When it is not such a file; the message gives the line.
    """
    return parse_mdoc(read_text(path, "an .mdoc file, which is text"), path)


def parse_mdoc(text: str, path: Path) -> Mdoc:
    """Read the text of an ``.mdoc`` file; errors name `path`.

    Raises
    ------
    ReadError
        When a line has another form, or there is no content.
    """
    common: dict[str, str] = {}
    titles: list[str] = []
    sections: list[MdocSection] = []
    entries = common
    lines = text.splitlines()
    if len(lines) > _MAX_LINES:
        raise ReadError(f"{path}: found {len(lines)} lines; expected an .mdoc file, at most {_MAX_LINES}")
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if heading := _SECTION.fullmatch(line):
            kind, value = heading.groups()
            if kind == _TITLE:
                titles.append(value)
            else:
                entries = {}
                sections.append(MdocSection(kind, value, entries, number))
        elif entry := _ENTRY.fullmatch(line):
            entries[entry[1]] = entry[2].strip()
        elif line.startswith("[") or not entries:
            raise ReadError(
                f"{path}, line {number}: found {line[:40]!r}; expected 'Key = Value' or '[ZValue = number]'"
            )
        # Any other line continues the value before it.
    if not common and not sections:
        raise ReadError(f"{path}: found nothing; expected an .mdoc file with a section for every image")
    return Mdoc(path, common, tuple(titles), tuple(sections))
