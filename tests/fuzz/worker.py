"""A process of its own that opens damaged files, so that nothing it does can hurt the tests.

It reads jobs (JSON, one per line) from standard input and answers each with a line. Its address space is
limited: what would ask for much more memory than a small file needs gets a MemoryError.
"""

from __future__ import annotations

import json
import logging
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import mutate
from target import try_file

HANG_SECONDS = 10
# On top of what the process has with all libraries in it.
MEMORY_BYTES = 1 << 30


class Hang(BaseException):
    """Not an Exception, so that no reader takes it for a broken file."""


def main() -> None:
    """Answer jobs until there are none."""
    logging.disable(logging.CRITICAL)
    limited = False
    for line in sys.stdin:
        job = json.loads(line)
        if job.get("limit") and not limited:
            _limit_memory()
            limited = True
        sys.stdout.write(json.dumps(_run(job)) + "\n")
        sys.stdout.flush()


def _run(job: dict[str, object]) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=job["scratch"]) as folder:
        inside = Path(folder) / "f"
        shutil.copytree(str(job["folder"]), inside)
        opened, damaged = inside / str(job["opened"]), inside / str(job["damaged"])
        kind = "none"
        if job["number"] is not None:
            kind, spoiled = mutate(damaged.read_bytes(), int(str(job["number"])))
            damaged.unlink()
            damaged.write_bytes(spoiled)
        start = time.perf_counter()
        before = _peak()
        try:
            signal.signal(signal.SIGALRM, _ring)
            signal.alarm(HANG_SECONDS)
            outcomes = try_file(opened, damaged)
        except Hang:
            outcomes = [("hang", _ring.place)]
        finally:
            signal.alarm(0)
    return {
        "name": job["name"],
        "number": job["number"],
        "kind": kind,
        "outcomes": outcomes,
        "seconds": time.perf_counter() - start,
        "grown_bytes": _peak() - before,
    }


def _ring(number: int, frame: object) -> None:
    import traceback

    stack = traceback.extract_stack(frame)  # type: ignore[arg-type]
    _ring.place = " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in reversed(stack[-6:]))  # type: ignore[attr-defined]
    raise Hang


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit_memory() -> None:
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))


if __name__ == "__main__":
    main()
