import shutil
from pathlib import Path

import pytest

from chemtomo.errors import WriteError
from chemtomo.io.atomic import replacing


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def targets(tmp_path):
    """Two files and a folder, as an earlier run left them."""
    (tmp_path / "a").write_text("old a")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("old inside")
    return [tmp_path / "a", tmp_path / "b", tmp_path / "folder"]


def fill(temporaries):
    first, second, folder = temporaries
    first.write_text("new a")
    second.write_text("new b")
    folder.mkdir()
    (folder / "other").write_text("new other")


def replace_with_failure(targets, error):
    with replacing(targets) as temporaries:
        fill(temporaries)
        raise error


def replace_two_of_three(targets):
    with replacing(targets) as temporaries:
        fill(temporaries)
        (temporaries[2] / "other").unlink()
        temporaries[2].rmdir()  # the third target cannot be moved: there is nothing to move


def test_all_is_replaced_and_nothing_else_is_left(targets, tmp_path):
    with replacing(targets) as temporaries:
        fill(temporaries)
        assert content(tmp_path)["a"] == "old a"
    assert content(tmp_path) == {"a": "new a", "b": "new b", "folder/other": "new other"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(targets, tmp_path, error):
    before = content(tmp_path)
    with pytest.raises(error):
        replace_with_failure(targets, error)
    assert content(tmp_path) == before


def test_a_failure_of_the_system_names_the_target(targets, tmp_path):
    before = content(tmp_path)
    with pytest.raises(WriteError, match="cannot be written: no space left"):
        replace_with_failure(targets, OSError(28, "No space left on device"))
    assert content(tmp_path) == before


def test_a_move_that_fails_half_way_is_undone(targets, tmp_path):
    before = content(tmp_path)
    with pytest.raises(WriteError, match="cannot be written"):
        replace_two_of_three(targets)
    assert content(tmp_path) == before


def test_a_missing_folder_is_told_before_the_work(tmp_path):
    with pytest.raises(WriteError, match="there is no folder"), replacing([tmp_path / "no" / "a"]):
        pytest.fail("the block ran")


def test_what_a_thread_writes_after_the_failure_is_removed_too(tmp_path, monkeypatch):
    remove = shutil.rmtree
    calls = []

    def remove_and_write_once_more(path, **options):
        remove(path, **options)
        calls.append(path)
        if len(calls) == 1:
            path.mkdir()
            (path / "late").write_text("from a thread")

    monkeypatch.setattr(shutil, "rmtree", remove_and_write_once_more)

    def fail():
        with replacing([tmp_path / "a.zarr"]) as (temporary,):
            temporary.mkdir()
            raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match="no space left"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_without_a_moment_in_which_there_is_none(tmp_path, monkeypatch):
    target = tmp_path / "state"
    target.write_text("old", encoding="utf-8")
    moved = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda self, other: moved.append(self) or rename(self, other))
    with replacing([target]) as (temporary,):
        temporary.write_text("new", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "new"
    assert target not in moved  # a program that was killed then would have left no file of this name
