"""Search for files that do harm, guided by coverage: a target for atheris.

The mutations of `test_damaged_files.py` are blind, and always the same. Atheris looks for those that reach
new code. It is no dependency; it has wheels for Linux only::

    pip install atheris
    python tests/fuzz/atheris_readers.py --format tiff corpus -max_len=200000 -rss_limit_mb=4096 -timeout=10

``--format`` is one of the seeds of `seeds.py`, whose file is put into the corpus. A crash, a hang, or an
error that does not name its file ends the search and leaves the file in the current folder. Open it with
``chemtomo info``, mend the reader, and add the damage to its tests.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fuzz.seeds import make_seeds
from tests.fuzz.target import try_file


def main() -> None:
    """Search until something is found."""
    import atheris

    parser = argparse.ArgumentParser(description="Search for files that do harm to one reader.")
    parser.add_argument("--format", required=True, help="name of a seed, for example mrc, tiff, hspy")
    parser.add_argument("corpus", help="folder that the search keeps its files in")
    parser.add_argument("--data", help="folder with the files of microscopes, in vendor/")
    given, rest = parser.parse_known_args()
    scratch = Path(tempfile.mkdtemp(prefix="chemtomo-fuzz-"))
    (scratch / "seeds").mkdir()
    data = None if given.data is None else Path(given.data)
    seeds = {seed.name: seed for seed in make_seeds(scratch / "seeds", data)}
    if given.format not in seeds:
        parser.error(f"--format: found {given.format!r}; expected one of {', '.join(seeds)}")
    seed = seeds[given.format]
    corpus = Path(given.corpus)
    corpus.mkdir(parents=True, exist_ok=True)
    shutil.copy(seed.folder / seed.damaged, corpus / f"seed-{Path(seed.damaged).name}")
    inside = scratch / "file"
    shutil.copytree(seed.folder, inside)
    opened, damaged = inside / seed.opened, inside / seed.damaged

    def once(content: bytes) -> None:
        damaged.write_bytes(content)
        for outcome, said in try_file(opened, damaged):
            if outcome not in ("read", "refused"):
                raise AssertionError(f"{outcome}: {said}")

    with atheris.instrument_imports(include=["chemtomo", "rsciio", "tifffile", "mrcfile", "h5py", "zarr"]):
        try_file(opened, damaged)
    atheris.Setup([sys.argv[0], *rest, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
