"""One at a time: among threads and processes, and also after one that was killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chemtomo.pipeline import State
from chemtomo.pipeline.keeping.cache import Cache
from chemtomo.pipeline.keeping.turn import Turn
from chemtomo.pipeline.runner import once_job
from chemtomo.pipeline.step import Made
from chemtomo.progress import TaskProgress, finish


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "turn"


def test_one_has_the_turn_until_it_ends(path):
    with Turn(path) as first, Turn(path) as second:
        assert first.take()
        assert first.take()
        assert not second.take()
    assert list(path.parent.iterdir()) == []
    with Turn(path) as third:
        assert third.take()


def test_another_process_has_it_until_it_is_killed(path):
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from chemtomo.pipeline.keeping.turn import Turn\n"
        "turn = Turn(Path(sys.argv[1]))\n"
        "print(turn.take(), flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline().strip() == b"True"
            with Turn(path) as turn:
                assert not turn.take()
                other.kill()
                other.wait()
                assert turn.take()
        finally:
            other.kill()


def test_where_nothing_can_be_locked_all_may_have_it(tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with Turn(tmp_path / "file" / "turn") as first, Turn(tmp_path / "file" / "turn") as second:
        assert first.take()
        assert second.take()


def test_two_runs_at_once_make_a_result_once(tmp_path):
    begun = []
    both = threading.Barrier(2)

    def slow():
        begun.append(threading.get_ident())
        yield TaskProgress(0, 1)
        time.sleep(0.5)
        return Made(State(table={"made by": [threading.get_ident()]}))

    found = []

    def run():
        both.wait()
        found.append(finish(once_job(slow(), Cache(tmp_path), "key", State())).state.table)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert found == [{"made by": begun}] * 2


def test_a_stop_ends_the_waiting(tmp_path):
    cache = Cache(tmp_path)
    asked = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > 1

    def stopped():
        yield TaskProgress(0, 1, "stopping")
        return Made(State(), complete=False)

    with cache.turn("key") as turn:
        assert turn.take()
        waiting = once_job(stopped(), cache, "key", State(), should_stop)
        assert [one.message for one in waiting] == ["Waiting for another run that makes the same", "stopping"]


def test_a_job_that_fails_leaves_the_turn_to_the_next(tmp_path):
    cache = Cache(tmp_path)

    def failing():
        yield TaskProgress(0, 1)
        raise ValueError("no result")

    with pytest.raises(ValueError, match="no result"):
        finish(once_job(failing(), cache, "key", State()))
    with cache.turn("key") as turn:
        assert turn.take()
