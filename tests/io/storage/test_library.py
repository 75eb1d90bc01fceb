"""What libraries say while they read becomes notes, and reaches neither of the standard streams."""

import json
import logging
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from chemtomo.io.formats import registry as formats
from chemtomo.io.formats.file_format import FileFormat
from chemtomo.io.found import Found
from chemtomo.io.storage.library import LIBRARIES, collect_warnings


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("child", ["", ".part", ".part.of_it"])
def test_nobody_else_hears_a_message(capfd, library, child):
    """Whatever handlers there are, at whichever logger, and whether messages go up from it or not."""
    logger = logging.getLogger(library + child)
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    printer = logging.StreamHandler(sys.stdout)
    before = logger.propagate

    def reading():
        logger.addHandler(printer)  # as some libraries do when they are imported
        logger.warning("a strange %s", "value")
        return 3

    logger.addHandler(handler)
    logger.propagate = False
    try:
        assert collect_warnings(reading) == (3, (f"{library}: a strange value",))
    finally:
        logger.removeHandler(handler)
        logger.removeHandler(printer)
        logger.propagate = before
    assert heard == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("where", ["rsciio", ""])
def test_a_logger_that_is_new_is_heard_by_nobody_else(where, capfd):
    """A library makes one when a module of it is imported; the handlers were there before."""
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    logging.getLogger(where).addHandler(handler)
    name = f"rsciio.new_{where or 'root'}"
    assert name not in logging.root.manager.loggerDict
    try:
        found = collect_warnings(lambda: logging.getLogger(name).warning("one"))
    finally:
        logging.getLogger(where).removeHandler(handler)
    assert found == (None, ("rsciio: one",))
    assert heard == []
    assert capfd.readouterr() == ("", "")


def test_logging_itself_is_left_alone():
    """Other programs may change it as well, and in another order."""

    def state():
        loggers = [logging.getLogger(name) for name in ("", *LIBRARIES)]
        return [(list(one.handlers), list(one.filters), one.propagate, one.level) for one in loggers]

    before, at_first = dict(vars(logging.Logger)), state()
    assert collect_warnings(lambda: dict(vars(logging.Logger))) == (before, ())
    assert state() == at_first


def test_messages_in_other_threads_of_a_reader_are_kept_too(capfd):
    def reading():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(logging.getLogger("tifffile").error, "a broken strip").result(timeout=30)

    assert collect_warnings(reading) == (None, ("tifffile: a broken strip",))
    assert capfd.readouterr() == ("", "")


def test_afterwards_handlers_hear_again():
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    logger = logging.getLogger("rsciio")
    logger.addHandler(handler)
    try:
        with pytest.raises(ValueError, match="broken"):
            collect_warnings(lambda: (_ for _ in ()).throw(ValueError("broken")).__next__())
        logger.warning("heard")
    finally:
        logger.removeHandler(handler)
    assert [one.getMessage() for one in heard] == ["heard"]


def test_messages_of_others_are_left_alone(caplog):
    collect_warnings(lambda: logging.getLogger("another.program").warning("hello"))
    assert [one.getMessage() for one in caplog.records] == ["hello"]


def test_printed_lines_do_not_reach_standard_output(capsys):
    collect_warnings(lambda: sys.stdout.write("chatter\n"))
    assert capsys.readouterr().out == ""


def test_values_that_another_thread_waits_for_are_read():
    """A reader may need lazy values, which are read in threads of their own, before it is done."""

    def reading():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(collect_warnings, lambda: 3, wait=False).result(timeout=30)

    assert collect_warnings(reading) == ((3, ()), ())


def test_a_warning_that_we_cause_is_passed_on():
    ours = compile("import warnings; warnings.warn('ours', stacklevel=1)", "/x/chemtomo/io/some.py", "exec")
    with pytest.warns(UserWarning, match="ours"):
        assert collect_warnings(lambda: exec(ours)) == (None, ())


def test_every_reader_keeps_messages_and_warnings_as_notes(tmp_path, monkeypatch, capfd):
    """The way in is one for all formats: what any library says is caught there."""

    def find(path):
        warnings.warn("an odd tag", UserWarning, stacklevel=1)
        logging.getLogger("h5py.somewhere").error("a bad block")
        return [Found("A", np.zeros((2, 3)), "image")]

    one = FileFormat("Odd", (".odd",), lambda head: True, find)
    monkeypatch.setattr(formats, "FORMATS", (one,))
    (tmp_path / "a.odd").write_bytes(b"x")
    (found,) = formats.find(tmp_path / "a.odd")
    assert found.notes == ("a library: an odd tag", "h5py: a bad block")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("first", [True, False])
def test_standard_output_of_info_is_json_only(tmp_path, first):
    """In a process of its own: the library binds its handler to standard output when it is imported."""
    np.savez(tmp_path / "a.npz", data=np.zeros((2, 3, 4), np.float32), tilts=[0.0, 5.0])
    code = (
        "import sys, logging\n"
        "from chemtomo.io.formats import registry as formats\n"
        "from chemtomo.cli import main\n"
        "import dataclasses\n"
        f"{'import rsciio' if first else ''}\n"
        "known = {one.name: one for one in formats.FORMATS}\n"
        "def talks(path):\n"
        "    import rsciio\n"
        "    logging.getLogger('rsciio.jeol._api').warning('numba is not installed')\n"
        "    return known['NPZ'].find(path)\n"
        "formats.FORMATS = tuple(\n"
        "    dataclasses.replace(one, find=talks) if one.name == 'NPZ' else one for one in formats.FORMATS\n"
        ")\n"
        f"sys.exit(main(['info', '--json', {str(tmp_path / 'a.npz')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (series,) = json.loads(done.stdout)["series"]
    # What RosettaSciIO says right after its import only its own handler hears: readers import it before.
    assert ("rsciio: numba is not installed" in series["notes"]) == first
