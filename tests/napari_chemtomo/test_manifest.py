"""The manifest: npe2's own check lets unknown keys and menus that do not exist pass."""

from __future__ import annotations

from importlib import resources

import pytest
import yaml
from napari._app_model.constants._menus import MenuId
from npe2 import PluginManifest
from npe2.manifest import contributions

from chemtomo.io import OUTPUT_FORMATS, readable_suffixes
from chemtomo.recon import ReconstructParameters


@pytest.fixture(scope="module")
def source():
    return yaml.safe_load(resources.files("napari_chemtomo").joinpath("napari.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def manifest(source):
    return PluginManifest(**source)


def test_the_manifest_is_found_by_its_entry_point():
    assert PluginManifest.from_distribution("napari-chemtomo").display_name == "ChemTomo"


def test_contributions_can_be_imported(manifest):
    manifest.validate_imports()


def test_there_are_no_unknown_keys(source):
    kinds = {
        "commands": contributions.CommandContribution,
        "readers": contributions.ReaderContribution,
        "sample_data": contributions.SampleDataGenerator,
        "widgets": contributions.WidgetContribution,
        "writers": contributions.WriterContribution,
    }
    assert set(source) <= set(PluginManifest.model_fields)
    assert set(source["contributions"]) == {*kinds, "menus", "configurations"}
    for name, kind in kinds.items():
        for entry in source["contributions"][name]:
            assert set(entry) <= set(kind.model_fields), entry
    for section in source["contributions"]["configurations"].values():
        assert set(section) <= set(contributions.ConfigurationContribution.model_fields)
        for entry in section["properties"].values():
            assert set(entry) == {"type", "default", "title", "description"}


def test_menus_exist_and_take_contributions(source):
    assert set(source["contributions"]["menus"]) <= {str(one) for one in MenuId.contributables()}


def test_commands_are_declared_and_used(source):
    declared = [one["id"] for one in source["contributions"]["commands"]]
    lists = [source["contributions"][name] for name in ("readers", "sample_data", "widgets", "writers")]
    used = {
        entry["command"]
        for entries in (*lists, *source["contributions"]["menus"].values())
        for entry in entries
    }
    assert len(set(declared)) == len(declared)
    assert set(declared) == used


def test_element_maps_are_a_dock_and_in_the_layers_menu(source):
    command = "napari-chemtomo.element_maps"
    widgets = {one["command"]: one["display_name"] for one in source["contributions"]["widgets"]}
    assert widgets[command] == "Element maps"
    menus = source["contributions"]["menus"]
    assert {"command": command} in menus["napari/layers/transform"]


def test_the_reader_takes_what_the_core_reads(source):
    (reader,) = source["contributions"]["readers"]
    assert sorted(reader["filename_patterns"]) == sorted(f"*{suffix}" for suffix in readable_suffixes())


def test_the_writer_takes_image_layers_and_the_formats_that_the_core_writes(source):
    (writer,) = source["contributions"]["writers"]
    assert writer["layer_types"] == ["image+"]
    endings = {suffix for suffixes in OUTPUT_FORMATS.values() for suffix in suffixes}
    assert set(writer["filename_extensions"]) <= endings
    assert {
        name for name, suffixes in OUTPUT_FORMATS.items() if suffixes[0] in writer["filename_extensions"]
    } == (set(OUTPUT_FORMATS))
    # Ordinary images are still saved by napari.
    assert ".tif" not in writer["filename_extensions"]


def test_the_device_setting_says_what_the_model_says(source):
    setting = source["contributions"]["configurations"]["compute"]["properties"]["device"]
    field = ReconstructParameters.model_fields["device"]
    assert setting["default"] == field.default
    assert setting["title"] == field.title
    assert field.description in setting["description"]


def test_the_reader_is_asked_about_folders(source):
    (reader,) = source["contributions"]["readers"]
    assert reader["accepts_directories"] is True


def test_the_dock_prepare_is_a_widget_and_in_the_menu(source):
    """Its title is that of the page and of the tests that open it."""
    titles = {one["command"]: one["display_name"] for one in source["contributions"]["widgets"]}
    assert titles["napari-chemtomo.prepare"] == "Prepare"
    menu = [one["command"] for one in source["contributions"]["menus"]["napari/layers/transform"]]
    assert "napari-chemtomo.prepare" in menu
