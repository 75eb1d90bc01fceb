"""No damaged file may do more than to be refused: one error that names it, soon, in bounded memory.

Every reader gets a small valid file, damaged in many ways, always the same ones. The files are opened in
processes of their own, whose address space is limited to 1 GiB more than the libraries take, and in which an
alarm ends what takes longer than 10 s.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from tests.fuzz.seeds import Seed, make_seeds

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"),
    reason="memory and time of a process are limited in the way of Linux",
)

FILES = int(os.environ.get("CHEMTOMO_FUZZ_FILES", "2000"))
WORKERS = 2
# An answer must come, even where an alarm cannot interrupt; generous, for machines that do other things too.
SILENCE_SECONDS = 40
GROWTH_BYTES = 512 << 20
HERE = Path(__file__).parent


class Worker:
    """A process that opens files; made anew when one has ended it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.start()

    def start(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # It is killed in the end, and cannot tidy up.
        environment["TMPDIR"] = str(self.scratch)
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
            text=True,
        )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True).start()
        self.warm = False

    def _warm_up(self, seed: Seed) -> None:
        """Let a new process import what it needs, which is not counted."""
        self.warm = True
        self.run(seed, None, limit=False)

    def _listen(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            self.answers.put(line)
        self.answers.put("")

    def run(self, seed: Seed, number: int | None, *, limit: bool) -> dict[str, object]:
        if not self.warm:
            self._warm_up(seed)
        job = {
            "name": seed.name,
            "folder": str(seed.folder),
            "opened": seed.opened,
            "damaged": seed.damaged,
            "number": number,
            "limit": limit,
            "scratch": str(self.scratch),
        }
        failed = {"name": seed.name, "number": number, "kind": "?", "seconds": 0.0, "grown_bytes": 0}
        try:
            self.process.stdin.write(json.dumps(job) + "\n")  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
            line = self.answers.get(timeout=SILENCE_SECONDS)
        except queue.Empty:
            self.stop()
            self.start()
            return failed | {"outcomes": [("hang", "no answer")]}
        except BrokenPipeError:
            line = ""
        if not line:
            status = self.process.wait()
            self.start()
            return failed | {"outcomes": [("crash", f"the process ended with {status}")]}
        return json.loads(line)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    given = os.environ.get("CHEMTOMO_DATA")
    data = Path(given) if given else HERE.parents[2].parent / "shared" / "data"
    return make_seeds(tmp_path_factory.mktemp("seeds"), data if data.is_dir() else None)


@pytest.fixture(scope="module")
def answers(seeds, tmp_path_factory):
    """What came of every file; those that are whole, of which the number is None, first."""
    ours = [seed for seed in seeds if not seed.name.startswith("vendor")]
    jobs: queue.Queue[tuple[Seed, int]] = queue.Queue()
    for number in range(-(-FILES // len(ours))):
        # The files of microscopes are large: fewer of them.
        for seed in seeds if number % 3 == 0 else ours:
            jobs.put((seed, number))
    found: list[dict[str, object]] = []

    def work(seeds_of_this: list[Seed]) -> None:
        worker = Worker(tmp_path_factory.mktemp("scratch"))
        # Whole files first: what they import is not counted.
        for seed in seeds:
            answer = worker.run(seed, None, limit=False)
            if seed in seeds_of_this:
                found.append(answer)
        while True:
            try:
                seed, number = jobs.get_nowait()
            except queue.Empty:
                break
            found.append(worker.run(seed, number, limit=True))
        worker.stop()

    threads = [threading.Thread(target=work, args=(seeds[one::WORKERS],)) for one in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def of(answers, outcome):
    return [
        f"{one['name']} {one['number']} ({one['kind']}): {said}"
        for one in answers
        for happened, said in one["outcomes"]
        if happened == outcome
    ]


def test_every_reader_reads_its_whole_file(seeds, answers):
    """Else the damage would be done to files that are refused for another reason."""
    whole = {
        one["name"]: [happened for happened, _ in one["outcomes"]] for one in answers if one["number"] is None
    }
    assert set(whole) == {seed.name for seed in seeds}
    unread = [name for name, happened in whole.items() if "read" not in happened]
    assert sorted(unread) == ["asw", "bcf", "dm4", "emi", "pts"]


def test_enough_files_are_damaged_and_most_kinds_of_damage_are_noticed(answers):
    damaged = [one for one in answers if one["number"] is not None]
    assert len(damaged) >= FILES
    outcomes = Counter(happened for one in damaged for happened, _ in one["outcomes"])
    assert outcomes["refused"] > len(damaged)
    assert outcomes["read"] > len(damaged) / 10


@pytest.mark.parametrize("outcome", ["crash", "hang", "nameless"])
def test_no_damaged_file_does_more_than_to_be_refused(answers, outcome):
    found = of(answers, outcome)
    assert not found, f"{len(found)} of {len(answers)}:\n" + "\n".join(found[:20])


def test_memory_is_bounded(answers):
    found = [
        f"{one['name']} {one['number']} ({one['kind']}): {one['grown_bytes'] >> 20} MiB"
        for one in answers
        if one["number"] is not None and one["grown_bytes"] > GROWTH_BYTES
    ]
    assert not found, "\n".join(found)
