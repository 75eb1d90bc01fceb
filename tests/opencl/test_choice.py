"""Which of several drivers of one CPU is taken: the faster in a trial, that is run once."""

import json
import os
import time

import pytest
from tests.opencl.devices import CPU, GPU, raw_device

from chemtomo.errors import DeviceError
from chemtomo.opencl import DeviceInfo, choose_device, list_devices
from chemtomo.opencl import device as device_module
from chemtomo.opencl.choice import comparison, trial
from chemtomo.opencl.choice.comparison import Trial

WEAVER = "Weaver OpenCL"
POCL_CPU = raw_device("pthread-Weaver 4", CPU, platform="Portable Computing Language")
OTHER_CPU = raw_device("Weaver 4", CPU, platform=WEAVER)
NEWER_CPU = raw_device("Weaver 4", CPU, platform=WEAVER, version="1.1")


@pytest.fixture
def trials(monkeypatch):
    """Seconds or an error for each platform, and a list of the trials that were run."""
    ran = []
    results = {}

    def run(device):
        ran.append(device.platform)
        result = results[device.platform]
        return Trial(None, result) if isinstance(result, str) else Trial(result)

    monkeypatch.setattr(comparison, "_run", run)
    results["ran"] = ran
    return results


@pytest.fixture
def next_process():
    """Forget what a new process would not know."""

    def forget():
        device_module._found.cache_clear()
        comparison._compare.cache_clear()

    return forget


def chosen(wanted="auto"):
    return choose_device(wanted).platform


@pytest.mark.parametrize("order", [(POCL_CPU, OTHER_CPU), (OTHER_CPU, POCL_CPU)])
@pytest.mark.parametrize(
    ("pocl", "other", "expected"),
    [
        (2.0, 1.0, WEAVER),
        (1.0, 2.0, device_module.POCL),
        (1.0, 1.0, device_module.POCL),
        ("no linker", 9.0, WEAVER),
        (9.0, "no compiler", device_module.POCL),
        ("no linker", "no compiler", device_module.POCL),
    ],
)
def test_the_faster_driver_is_taken_and_one_that_fails_is_not(computer, trials, order, pocl, other, expected):
    computer(*order)
    trials |= {device_module.POCL: pocl, WEAVER: other}
    assert chosen() == chosen("cpu") == expected
    listed = list_devices()
    assert [one.platform for one in listed if one.default] == [expected]
    assert {one.platform: one.trial.seconds or one.trial.error for one in listed} == {
        device_module.POCL: pocl,
        WEAVER: other,
    }
    assert sorted(trials["ran"]) == [device_module.POCL, WEAVER]  # once, however often it was asked


@pytest.mark.parametrize(
    "devices",
    [
        [POCL_CPU],
        [OTHER_CPU, raw_device("Weaver 64", CPU, platform=WEAVER)],
        [POCL_CPU, OTHER_CPU, raw_device("Loom", GPU)],
    ],
    ids=["one driver", "one driver with two devices", "a GPU"],
)
def test_without_a_choice_nothing_is_run(computer, trials, devices):
    computer(*devices)
    assert choose_device() == next(one for one in list_devices() if one.default)
    assert all(one.trial is None for one in list_devices())
    assert trials["ran"] == []


def test_a_driver_that_is_named_is_taken_without_a_trial(computer, trials):
    """The name of one device is a part of the other's, so the exact name is the stronger one."""
    computer(POCL_CPU, OTHER_CPU)
    assert chosen("weaver 4") == chosen("1") == chosen("weaver opencl") == chosen("opencl") == WEAVER
    assert chosen("pthread") == chosen("Portable") == chosen("0") == device_module.POCL
    assert trials["ran"] == []


def test_the_cpu_beside_a_gpu_is_the_faster_driver_too(computer, trials):
    computer(POCL_CPU, OTHER_CPU, raw_device("Loom", GPU))
    trials |= {device_module.POCL: 2.0, WEAVER: 1.0}
    assert chosen("cpu") == WEAVER


def test_times_are_kept_until_a_driver_changes(computer, trials, next_process):
    computer(POCL_CPU, OTHER_CPU)
    trials |= {device_module.POCL: 2.0, WEAVER: 1.0}
    assert chosen() == WEAVER
    trials[WEAVER] = 3.0
    next_process()
    assert chosen() == WEAVER
    assert len(trials["ran"]) == 2
    computer(POCL_CPU, NEWER_CPU)
    next_process()
    assert chosen() == device_module.POCL
    assert len(trials["ran"]) == 4


def test_a_failure_is_tried_again_the_next_day(computer, trials, next_process, monkeypatch):
    computer(POCL_CPU, OTHER_CPU)
    trials |= {device_module.POCL: "no linker", WEAVER: 1.0}
    assert chosen() == WEAVER
    trials[device_module.POCL] = 0.5
    next_process()
    assert chosen() == WEAVER
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    next_process()
    assert chosen() == device_module.POCL


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '["at"]', "null", "\ufffe"])
def test_a_damaged_file_of_times_is_replaced(computer, trials, next_process, text):
    computer(POCL_CPU, OTHER_CPU)
    trials |= {device_module.POCL: 2.0, WEAVER: 1.0}
    path = comparison.kept_trials()
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-16")
    assert chosen() == WEAVER
    assert chosen() == WEAVER
    next_process()
    assert chosen() == WEAVER
    assert len(trials["ran"]) == 2


@pytest.mark.parametrize(
    "damage", [{}, {"trials": []}, {"trials": [1, 2], "at": 0}, {"trials": [{"seconds": "?"}]}, 7]
)
def test_a_damaged_entry_is_measured_again(computer, trials, next_process, damage):
    computer(POCL_CPU, OTHER_CPU)
    trials |= {device_module.POCL: 2.0, WEAVER: 1.0}
    assert chosen() == WEAVER
    path = comparison.kept_trials()
    path.write_text(
        json.dumps(dict.fromkeys(json.loads(path.read_text(encoding="utf-8")), damage)), encoding="utf-8"
    )
    next_process()
    assert chosen() == WEAVER
    assert len(trials["ran"]) == 4


def test_without_a_place_to_keep_them_times_hold_for_the_process(computer, trials, monkeypatch, tmp_path):
    computer(POCL_CPU, OTHER_CPU)
    trials |= {device_module.POCL: 2.0, WEAVER: 1.0}
    (tmp_path / "file").touch()
    monkeypatch.setattr(comparison, "kept_trials", lambda: tmp_path / "file" / "trials.json")
    assert chosen() == chosen() == WEAVER
    assert len(trials["ran"]) == 2


def test_a_trial_times_this_device(device):
    result = comparison._run(device)
    assert result.error == ""
    assert result.seconds > 0


def test_a_trial_that_fails_says_why(device):
    """No device has this number, so the process ends with an error."""
    result = comparison._run(DeviceInfo(10**6, "nothing", "nowhere", "cpu", 0, 0))
    assert result.seconds is None
    assert "IndexError" in result.error


def test_a_trial_that_takes_too_long_is_ended(device, monkeypatch):
    monkeypatch.setattr(comparison, "_PATIENCE_SECONDS", 0.01)
    assert comparison._run(device) == Trial(None, "not ready after 0 s")


def test_a_computer_that_starts_no_processes_has_no_trials(device, monkeypatch):
    monkeypatch.setattr(comparison.sys, "executable", os.devnull)
    assert comparison._run(device).seconds is None


def test_a_driver_that_computes_nonsense_has_no_time(device, monkeypatch):
    def wrong(device):
        raise DeviceError("differ in the dot test")

    monkeypatch.setattr(trial, "try_projector", wrong)
    with pytest.raises(DeviceError, match="dot test"):
        trial.seconds_of_an_iteration(device)
