"""Jobs on a Dask cluster: workers that die, and a stop."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from tests.pipeline.many.doing import counting_alignments, die, do_or_die_once, tell_share, wait_for_stop
from tests.pipeline.many.test_running import aligned_first, files_in

from chemtomo.errors import ParameterError
from chemtomo.pipeline.keeping.cache import Cache
from chemtomo.pipeline.many import Outcome, plan_runs, run_many_job
from chemtomo.progress import finish

cluster = pytest.importorskip("chemtomo.pipeline.many.cluster", reason="Dask's distributed is not installed")


@pytest.fixture(scope="module")
def client():
    with cluster.connected(2) as client:
        yield client


def outcomes_of(client, runs, **options) -> list[Outcome]:
    events = cluster.distributed_runs(client, runs, options.pop("should_stop", lambda: False), **options)
    ended = [event for event in events if isinstance(event, Outcome)]
    assert Counter(one.run.output for one in ended) == Counter(run.output for run in runs)
    by_output = {one.run.output: one for one in ended}
    return [by_output[run.output] for run in runs]


def test_twenty_data_sets_one_broken_and_a_worker_that_dies(client, recipe, data_sets, tmp_path):
    folders = data_sets(20)
    (folders[5] / "series.zarr" / "zarr.json").write_text("{", encoding="utf-8")
    (folders[11] / "dies").touch()
    runs = plan_runs(recipe, tmp_path / "out", data_sets=folders)
    outcomes = outcomes_of(client, runs, do=do_or_die_once)
    assert not (folders[11] / "dies").exists()
    assert [one.became for one in outcomes] == ["made"] * 5 + ["failed"] + ["made"] * 14
    assert str(folders[5]) in outcomes[5].message
    died = [one.run.data for one in outcomes if any("the first worker died" in note for note in one.notes)]
    assert died == ["s11"]
    results = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert results == sorted(f"s{number}.zarr" for number in range(20) if number != 5)
    before = files_in(tmp_path / "out")
    again = outcomes_of(client, runs)
    assert [one.became for one in again] == ["there already"] * 5 + ["failed"] + ["there already"] * 14
    assert files_in(tmp_path / "out") == before


def test_a_data_set_that_kills_every_worker_fails_alone(client, recipe, data_sets, tmp_path):
    outcomes = outcomes_of(client, plan_runs(recipe, tmp_path / "out", data_sets=data_sets(4)), do=die)
    assert [one.became for one in outcomes] == ["made", "failed", "made", "made"]
    assert "found 2 workers that died during this run" in outcomes[1].message


def test_workers_share_memory_and_threads(client, recipe, tmp_path):
    runs = plan_runs(recipe, tmp_path / "out", data_sets=[tmp_path / name for name in "abc"])
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    names = ("POCL_MAX_PTHREAD_COUNT", "OMP_NUM_THREADS")
    expected = " ".join(["2", *(os.environ.get(name, threads) for name in names)])
    assert [one.message for one in outcomes_of(client, runs, do=tell_share)] == [expected] * 3


def test_a_stop_reaches_the_workers(client, recipe, data_sets, tmp_path):
    runs = plan_runs(recipe, tmp_path / "out", data_sets=data_sets(3))
    (tmp_path / "out").mkdir()

    def both_started() -> bool:
        return len(list((tmp_path / "out").glob("*.started"))) == 2

    outcomes = outcomes_of(client, runs, should_stop=both_started, do=wait_for_stop)
    assert [one.became for one in outcomes] == ["cancelled"] * 3
    assert not list((tmp_path / "out").glob("*.zarr"))


def test_workers_of_a_running_scheduler(client, recipe, data_sets, tmp_path):
    runs = plan_runs(recipe, tmp_path / "out", data_sets=data_sets(2))
    outcomes = finish(run_many_job(runs, scheduler=client.scheduler.address))
    assert [one.became for one in outcomes] == ["made", "made"]
    assert all(one.worker for one in outcomes)


def test_an_address_without_a_scheduler(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.2)
    with pytest.raises(ParameterError, match="found no Dask scheduler"):
        finish(run_many_job(plan_runs(recipe, tmp_path / "out"), scheduler="tcp://127.0.0.1:9"))


def test_workers_of_one_computer_have_different_numbers():
    places = cluster._Places()
    places.update({"a": {"host": "x"}, "b": {"host": "x"}, "c": {"host": "y"}})
    assert [places.of(one) for one in "abc"] == [(0, 2), (1, 2), (0, 1)]
    places.update({"b": {"host": "x"}, "c": {"host": "y"}, "d": {"host": "x"}})
    assert [places.of(one) for one in "bcd"] == [(1, 2), (0, 1), (0, 2)]


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("gpus", [0, 1, 2, 3])
def test_workers_share_devices_evenly_and_no_more_than_there_are(monkeypatch, count, gpus):
    from chemtomo.opencl import DeviceInfo

    listed = [DeviceInfo(7 + number, "GPU", "P", "gpu", 2**30, 1) for number in range(gpus)]
    monkeypatch.setattr(cluster, "list_devices", lambda: listed)
    monkeypatch.delenv("CHEMTOMO_DEVICE", raising=False)
    shares = [cluster._share(number, count) for number in range(count)]
    used = Counter(share.get("CHEMTOMO_DEVICE") for share in shares)
    assert max(used.values()) - min(used.values()) <= 1
    assert len(used) == (1 if gpus < 2 else min(gpus, count))
    for share in shares:
        assert int(share["CHEMTOMO_DEVICE_SHARED_BY"]) == used[share.get("CHEMTOMO_DEVICE")]
    monkeypatch.setenv("CHEMTOMO_DEVICE", "cpu")
    assert all("CHEMTOMO_DEVICE" not in cluster._share(number, count) for number in range(count))


def test_the_budget_of_a_shared_device(monkeypatch):
    from chemtomo.opencl import DeviceInfo
    from chemtomo.recon.reconstruction import _budget

    device = DeviceInfo(0, "GPU", "P", "gpu", 2**33, 1)
    whole = _budget(None, device)
    monkeypatch.setenv("CHEMTOMO_DEVICE_SHARED_BY", "4")
    assert _budget(None, device) == whole // 4
    assert _budget(1.0, device) == 2**30


def test_workers_share_a_cache(client, recipe, data_sets, tmp_path):
    data_sets(1)
    grid = {"reconstruct.iterations": [1, 2, 3, 4]}
    cache = Cache(tmp_path / "cache")
    runs = plan_runs(aligned_first(recipe), tmp_path / "out", grid=grid, cache=cache)
    outcomes = outcomes_of(client, runs, do=counting_alignments)
    assert [one.became for one in outcomes] == ["made"] * 4
    assert len({one.worker for one in outcomes}) == 2
    assert len((tmp_path / "cache" / "aligned").read_text(encoding="utf-8").split()) == 1
