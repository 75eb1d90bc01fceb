"""Print the releases that are installed here, one ``name==version`` a line, for constraints.txt.

A constraint installs nothing; it says which release is taken of what is installed anyway. So the list
may have packages of one system only. Of packages with another release for every Python version of
ours, the one that all of them have is to be chosen; the weekly job without constraints shows the others.
Packages of an extra that is not installed here keep the release that they have in the present list.
"""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

_ROOT = Path(__file__).resolve().parents[1]
# Not installed from an index, and the installers themselves.
_LEFT_OUT = {"napari-chemtomo", "pip", "setuptools", "wheel"}


def main() -> None:
    """Print the list, in the order of names."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {Requirement(text).name for group in project["optional-dependencies"].values() for text in group}
    before = (
        line.split("==") for line in (_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    )
    found = {name: version for name, version in before if name in extras}
    found |= {
        re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(): one.version
        for one in importlib.metadata.distributions()
    }
    for name, version in sorted(found.items()):
        if name not in _LEFT_OUT:
            print(f"{name}=={version.partition('+')[0]}")


if __name__ == "__main__":
    main()
