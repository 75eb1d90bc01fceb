import json
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile

from chemtomo.cli import progress
from chemtomo.data import Dataset, EnergyAxis, TiltSeries, Volume
from chemtomo.io import read, read_volume, write, write_dataset
from chemtomo.io.formats import registry as formats
from chemtomo.io.formats.file_format import FileFormat
from chemtomo.io.found import Found
from chemtomo.samples import phantom


def one_line(text):
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("Error: ")
    return lines[0]


# Listing


def test_info_as_json_has_the_agreed_keys(run, files):
    status, out, _ = run("info", "--json", *files)
    assert status == 0
    found = json.loads(out)["series"]
    assert [one["name"] for one in found] == ["HAADF", "Yb", "Si", "Al"]
    for one, path, series in zip(found, files, read(files), strict=True):
        assert one == {
            "name": series.name,
            "shape": [5, 4, 16],
            "dtype": series.data.dtype.name,
            "tilts_deg": series.tilts_deg.tolist(),
            "pixel_size_nm": series.pixel_size_nm,
            "kind": series.kind,
            "lazy": False,
            "axis_position_px": 7.5,
            "axis_angle_deg": None,
            "detector_shifts_px": None,
            "gains": None,
            "has_background": False,
            "has_alignment": False,
            "source": path,
            "notes": [],
            "provenance": [],
        }


def test_tilts_by_hand_are_used_by_info_and_reconstruct(run, files, tmp_path):
    status, out, _ = run("info", "--json", "--tilts", "-10:5:5", *files)
    assert status == 0
    assert [one["tilts_deg"] for one in json.loads(out)["series"]] == [[-10, -5, 0, 5, 10]] * 4
    commands = (
        ["info"],
        ["reconstruct", "-o", tmp_path / "v.mrc", "--device", "numpy"],
        ["convert", "-o", tmp_path / "c.zarr"],
        ["prepare", "-o", tmp_path / "p.zarr"],
    )
    for command in commands:
        status, _, err = run(*command, "--tilts", "-10:5:4", *files)
        assert status == 1
        assert "HAADF.mrc: found 4 tilts in '-10:5:4'; expected 5" in one_line(err)


def test_info_takes_a_folder_and_says_what_it_took(run, files, tmp_path):
    folder = Path(files[0]).parent
    status, out, _ = run("info", "--json", folder)
    assert status == 0
    found = json.loads(out)["series"]
    assert [one["name"] for one in found] == ["Al", "HAADF", "Si", "Yb"]
    assert found[0]["notes"] == [f"4 files of the folder {folder}: Al.mrc, HAADF.mrc, Si.mrc, Yb.mrc"]


def test_info_shows_spectrum_images_and_what_series_have(run, tmp_path, monkeypatch):
    energy = EnergyAxis(-0.1, 0.01)
    spectra = Found("EDX", np.ones((2, 3, 8)), "spectrum image", 5.0, 1.5, energy=energy, notes=("noted",))
    series = TiltSeries("Fe", np.ones((2, 3, 4)), [0, 1], gains=[1, 2], background=np.zeros((2, 3, 4)))
    fake = FileFormat("fake", (".fake",), lambda head: False, lambda path: [spectra, Found.of_series(series)])
    monkeypatch.setattr(formats, "FORMATS", (fake,))
    path = tmp_path / "a.fake"
    path.touch()
    status, out, _ = run("info", "--json", path)
    assert status == 0
    (image,) = json.loads(out)["spectra"]
    assert image["shape"] == [1, 2, 3, 8]
    assert image["tilts_deg"] == [5.0]
    assert image["energy_step_keV"] == 0.01
    assert json.loads(out)["series"][0]["gains"] == [1, 2]
    status, out, _ = run("info", path)
    for words in ("gains, background", "EDX", "-0.1 to -0.03", "EDX: noted"):
        assert words in " ".join(out.split())


def test_info_shows_volumes_too(run, tmp_path):
    volume = Volume(np.zeros((2, 3, 4, 5), np.float32), ("Fe", "O"), 1.5)
    path = tmp_path / "volume.zarr"
    write(volume, path)
    status, out, _ = run("info", "--json", path)
    assert status == 0
    found = json.loads(out)["volume"]
    assert found["channels"] == ["Fe", "O"]
    assert (found["shape"], found["voxel_size_nm"]) == ([2, 3, 4, 5], 1.5)
    status, out, _ = run("info", path)
    assert status == 0
    assert "Fe 3 4 5 1.5 float32" in " ".join(out.split())


def test_info_does_not_cut_names(run, tmp_path):
    name = "a long name of a series"
    gains = {"gains": [1, 2], "background": np.zeros((2, 3, 4))}
    series = TiltSeries(name, np.ones((2, 3, 4), np.float32), [-3.25, 4.5], pixel_size_nm=0.123456, **gains)
    write_dataset(Dataset((series,)), tmp_path / "x.zarr")
    assert name in run("info", tmp_path / "x.zarr")[1]


def test_a_reconstruction_of_filtered_projections_is_warned_of(run, files, tmp_path):
    recipe = tmp_path / "steps.json"
    recipe.write_text('[{"operation": "sobel", "channels": "HAADF"}]')
    assert run("prepare", *files, "-o", tmp_path / "x.zarr", "--steps", recipe)[0] == 0
    options = ("--iterations", 1, "--method", "sirt", "--device", "numpy")
    status, _, err = run("reconstruct", tmp_path / "x.zarr", "-o", tmp_path / "v.zarr", *options)
    assert status == 0
    assert "Note: HAADF: filtered for registration only" in err
    status, _, err = run("reconstruct", *files, "-o", tmp_path / "w.zarr", *options)
    assert "registration only" not in err


def test_info_shows_what_was_assumed(run, tmp_path):
    write_dataset(Dataset((TiltSeries("Fe[a]", np.ones((2, 3, 4), np.float32), [-3, 4.5]),)), tmp_path)
    path = tmp_path / "Fe[a].mrc"
    raw = bytearray(path.read_bytes())
    path.with_name("Fe[a].chemtomo.json").unlink()
    raw[40:52] = bytes(12)  # no cell, no pixel size
    path.write_bytes(raw)
    status, out, _ = run("info", path)
    assert status == 0
    for word in ("Fe[a]", "-3 to 4.5", "float32", "1 nm is assumed"):
        assert word in out


def test_devices_as_json_has_the_agreed_keys(run):
    status, out, _ = run("devices", "--json")
    assert status == 0
    for one in json.loads(out)["devices"]:
        assert set(one) == {
            "name",
            "platform",
            "kind",
            "memory_bytes",
            "compute_units",
            "default",
            "driver_version",
            "trial",
        }


def test_without_a_device_it_is_said_what_to_install(run, monkeypatch):
    from chemtomo.opencl import device

    monkeypatch.setattr(device, "_found", lambda: ())
    assert run("devices", "--json") == (0, '{\n "devices": []\n}\n', "")
    status, _, err = run("devices")
    assert status == 1
    assert "Install the driver" in one_line(err)


def test_phantom_writes_a_specimen_with_its_true_alignment(run, tmp_path):
    from chemtomo.data import Alignment
    from chemtomo.io import read
    from chemtomo.samples import specimen_series

    status, _, _ = run("phantom", tmp_path, "--sample", "pillar", "--seed", 2)
    assert status == 0
    made = specimen_series("pillar", seed=2, counts=4.0)
    found = read([tmp_path])
    assert set(found.names) == {"HAADF", "matrix", "precipitates"}
    assert np.array_equal(np.asarray(found["HAADF"].data), made.series.data)
    assert np.allclose(Alignment.load(tmp_path / "truth.json").matrices, made.truth.matrices)


def test_phantom_refuses_a_specimen_it_does_not_know(run, tmp_path):
    status, _, err = run("phantom", tmp_path, "--sample", "sponge")
    assert status != 0
    assert "sponge" in err
    assert "lamella" in err


def test_phantom_writes_what_info_reads(run, tmp_path):
    status, out, _ = run("phantom", tmp_path / "new" / "folder")
    assert status == 0
    written = sorted((tmp_path / "new" / "folder").glob("*.mrc"))
    assert len(written) == 4
    assert all(str(path) in out for path in written)
    expected = phantom()
    for one in read(written):
        assert np.array_equal(one.data, expected[one.name].data)
        assert one.kind == expected[one.name].kind


# Errors


def test_an_error_is_one_line_and_no_traceback(run, tmp_path):
    status, out, err = run("info", tmp_path / "nothing.mrc")
    assert (status, out) == (1, "")
    assert f"{tmp_path / 'nothing.mrc'}: no such file" in one_line(err)


def test_debug_adds_the_traceback_wherever_it_stands(run, tmp_path):
    for arguments in (["--debug", "info", "no.mrc"], ["info", "no.mrc", "--debug"]):
        status, _, err = run(*arguments)
        assert status == 1
        assert "Traceback" in err
        assert err.splitlines()[-1] == "Error: no.mrc: no such file"


def test_an_unexpected_error_is_one_line_too(run, files, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("chemtomo.io.contents", fail)
    status, _, err = run("info", *files)
    assert status == 1
    assert one_line(err) == "Error: ZeroDivisionError: two lines (--debug shows where)"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "OUT|--output"),
        (["-o", "x.zarr", "--bogus"], "--bogus"),
        (["-o", "x.zarr", "--dims", "4"], "--dims"),
        (["-o", "x.zarr", "--slices", "5:3"], "5:3"),
        (["-o", "x.zarr", "--iterations", "0"], "--iterations: found 0"),
        (["-o", "x.zarr", "--mu", "Al"], "NAME=VALUE"),
    ],
)
def test_wrong_usage_ends_with_two(run, files, arguments, said):
    status, _, err = run("reconstruct", *files, *arguments)
    assert status == 2
    assert any(word in one_line(err) for word in said.split("|"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "x.png"], "expected a name that ends with .zarr, .ome.tif, .mrc"),
        (["-o", "nowhere/x.zarr"], "there is no folder nowhere"),
        (["-o", "x.zarr", "--report", "nowhere/r.json"], "there is no folder nowhere"),
        (["-o", "x.zarr", "--mu", "Fe=1"], "channel 'Fe' fits none; expected one of HAADF, Yb, Si, Al"),
        (["-o", "x.zarr", "--mu", "Al=1", "--mu", "A=2"], "two weights for channel 'Al'"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(run, files, arguments, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "chemtomo.pipeline.runner.run_steps_job", lambda *_, **__: pytest.fail("work was done")
    )
    status, _, err = run("reconstruct", *files, *arguments)
    assert status == 1
    assert said in one_line(err)
    assert list(tmp_path.iterdir()) == []


# Reconstruction


def test_reconstruct_writes_the_volume_and_the_report(run, files, tmp_path):
    output, report = tmp_path / "out.zarr", tmp_path / "report.json"
    status, out, _ = run(
        "reconstruct", *files, "-o", output, "--report", report, "--device", "numpy", "--method", "tv",
        "--iterations", 4, "--report-every", 2, "--mu", "A=0.5", "--slices", "1:3", "--crop", "none",
    )  # fmt: skip
    assert status == 0
    assert str(output) in out
    assert str(report) in out
    volume = read_volume(output)
    assert volume.names == ("HAADF", "Yb", "Si", "Al")
    assert volume.shape == (16, 2, 16)
    assert volume.data.max() > 0
    assert "0.5" in json.dumps(volume.provenance)
    found = json.loads(report.read_text())
    assert found["method"] == "tv"
    assert found["iterations"] == 4
    assert found["seconds_per_iteration"] == pytest.approx(found["seconds"] / 4)
    assert "device" in found
    assert found["history"][-1]["iteration"] == 4
    assert [one["iteration"] for one in found["history"]] == sorted(
        {one["iteration"] for one in found["history"]}
    )
    for one in found["history"]:
        assert set(one["data"]) == set(volume.names)
        assert {"iteration", "seconds", "objective", "regulariser"} <= set(one)


def test_an_unknown_device_is_an_error(run, files, tmp_path):
    status, _, err = run("reconstruct", *files, "-o", tmp_path / "out.zarr", "--device", "abacus")
    assert status == 1
    assert "abacus" in one_line(err)
    assert list(tmp_path.iterdir()) == []


def interrupt_at(iteration, monkeypatch):
    """Press Ctrl-C after an iteration, as seen by whom the progress is reported to."""
    real = progress.Watch.on_progress

    def act(self, step):
        real(self, step)
        if step.iteration == iteration:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(progress.Watch, "on_progress", act)


def test_ctrl_c_keeps_the_last_iterate(run, files, tmp_path, monkeypatch):
    interrupt_at(2, monkeypatch)
    output, report = tmp_path / "out.zarr", tmp_path / "report.json"
    status, _, err = run(
        "reconstruct", *files, "-o", output, "--report", report, "--device", "numpy", "--method", "sirt",
        "--iterations", 1000,
    )  # fmt: skip
    assert status == 0
    assert "its result is kept" in err
    found = json.loads(report.read_text())
    assert found["cancelled"] is True
    assert 2 <= found["iterations"] <= 3
    assert read_volume(output).data.max() > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_aborts(capfd):
    with progress.watch(5) as watching:
        watching.iterations = 1
        assert not watching.should_stop()
        signal.raise_signal(signal.SIGINT)
        assert watching.should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert "Ctrl-C again aborts" in capfd.readouterr().err


def test_before_there_is_an_iterate_ctrl_c_aborts_at_once_and_the_old_result_stays(
    run, files, tmp_path, monkeypatch
):
    output = tmp_path / "out.zarr"
    arguments = ["reconstruct", *files, "-o", output, "--device", "numpy", "--method", "sirt"]
    assert run(*arguments, "--iterations", 2)[0] == 0
    before = read_volume(output)
    assert run(*arguments, "--iterations", 3)[0] == 1
    assert np.array_equal(read_volume(output).data, before.data)

    def prepare(*_, **__):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("chemtomo.pipeline.runner.run_steps_job", prepare)
    status, out, err = run(*arguments, "--iterations", 2, "--overwrite")
    assert (status, out) == (130, "")
    assert one_line(err) == "Error: interrupted"
    assert np.array_equal(read_volume(output).data, before.data)


def test_an_abort_ends_with_130_and_writes_nothing(run, files, tmp_path, monkeypatch):
    def abort(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("chemtomo.pipeline.runner.run_steps_job", abort)
    status, _, err = run("reconstruct", *files, "-o", tmp_path / "out.zarr")
    assert status == 130
    assert one_line(err) == "Error: interrupted"
    assert list(tmp_path.iterdir()) == []


def test_tilts_from_names_and_their_unit(tmp_path, run):
    for tilt in (-40, 5, 35):
        tifffile.imwrite(tmp_path / f"{tilt}.tif", np.full((4, 5), tilt, np.float32))
    status, _, err = run("info", tmp_path)
    assert status == 1
    assert "--tilts names" in one_line(err)
    (series,) = json.loads(run("info", tmp_path, "--tilts", "names", "--json")[1])["series"]
    assert series["tilts_deg"] == [-40, 5, 35]
    assert any("-40.tif -40, 5.tif 5, 35.tif 35" in note for note in series["notes"])
    arguments = ("info", tmp_path, "--tilts", "-0.5:0.5:3", "--json", "--tilts-unit")
    (series,) = json.loads(run(*arguments, "rad")[1])["series"]
    assert series["tilts_deg"] == pytest.approx(np.rad2deg([-0.5, 0, 0.5]))
    assert run(*arguments, "grad")[0] == 2


def test_every_command_that_reads_tilts_knows_their_unit(run):
    for command in ("info", "convert", "maps", "prepare", "align", "reconstruct"):
        assert "--tilts-unit" in run(command, "--help")[1]


def test_the_trials_of_several_drivers_are_listed(run, monkeypatch):
    from chemtomo import opencl
    from chemtomo.opencl.device import DeviceInfo, Trial

    drivers = [
        DeviceInfo(0, "CPU", "one", "cpu", 2**33, 2, default=True, trial=Trial(0.0123)),
        DeviceInfo(1, "CPU", "two", "cpu", 2**33, 2, trial=Trial(None, "[ld] not found")),
    ]
    monkeypatch.setattr(opencl, "list_devices", lambda: drivers)
    status, out, _ = run("devices")
    assert status == 0
    for words in ("0 *", "12.3", "1 failed in its trial: [ld] not found", "cpu-drivers.json"):
        assert words in out
    found = json.loads(run("devices", "--json")[1])["devices"]
    assert [one["trial"]["seconds"] for one in found] == [0.0123, None]


def test_what_is_found_from_the_data_is_printed_and_reported(run, files, tmp_path, monkeypatch):
    from chemtomo.trust import strength

    for name, value in (("_COARSE", (4.0, 0.5)), ("_FINE", (2.0, 1.0, 0.5)), ("_DIVISIONS", 2)):
        monkeypatch.setattr(strength, name, value)
    report = tmp_path / "report.json"
    arguments = ["--strength", "auto", "--mu", "auto", "--iterations", 2, "--report", report]
    status, out, _ = run("reconstruct", *files, "-o", tmp_path / "v.zarr", *arguments)
    assert status == 0
    chosen = json.loads(report.read_text())["auto"]["chosen"]
    assert f"strength {chosen['strength']:g}" in out
    assert {"HAADF", "Yb", "Si", "Al"} == set(chosen["mu"])
    assert "counts" in out
    assert run("recipe", tmp_path / "v.zarr")[1].count("auto") == 0
