"""The notebook of the documentation runs from its first cell to its last, and shows what it makes."""

import json

import pytest
from tests.documentation.pages import ROOT
from tools.notebooks import SKIPPED, execute, executed_as_markdown, on_page_markdown

PATH = ROOT / "docs" / "notebook.ipynb"


def cells():
    return json.loads(PATH.read_text(encoding="utf-8"))["cells"]


def test_the_repository_has_no_outputs():
    """They would be those of some earlier version."""
    for cell in cells():
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.fixture(scope="module")
def page():
    return on_page_markdown("Before.\n\n<!-- notebook: notebook.ipynb -->\n")


def test_the_page_shows_every_cell_with_its_pictures(page):
    assert page.startswith("Before.\n")
    assert "<!-- notebook" not in page
    for cell in cells():
        assert "".join(cell["source"]) in page
    for what in ("Dataset of 3", "Tilt series HAADF", "Alignment of HAADF", "Volume of 3 channels"):
        (shown,) = [line for line in page.splitlines() if f"<strong>{what}" in line]
        assert shown.startswith('<div class="output">')
        assert "<img" in shown
    assert "step = &quot;reconstruct&quot;" in page


def test_all_parts_of_the_way_are_shown():
    code = "".join("".join(cell["source"]) for cell in cells())
    for call in ("read(", "prepare(", "align(", "reconstruct(", "write(", "to_hyperspy(", "from_hyperspy("):
        assert call in code


def test_a_cell_that_fails_is_named(tmp_path):
    bad = {"cell_type": "code", "metadata": {}, "source": ["1 / 0"]}
    good = {"cell_type": "markdown", "metadata": {}, "source": ["text"]}
    skipped = {**bad, "metadata": {"tags": [SKIPPED]}}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [good, skipped]}), encoding="utf-8")
    assert executed_as_markdown(path) == "text\n\n```python\n1 / 0\n```\n"
    path.write_text(json.dumps({"cells": [good, skipped, bad]}), encoding="utf-8")
    with pytest.raises(ZeroDivisionError) as caught:
        executed_as_markdown(path)
    assert caught.value.__notes__ == ["in cell 3 of a.ipynb"]


def test_a_cell_shows_what_it_prints_and_its_last_expression():
    names = {}
    assert execute("x = 2", names) == []
    assert execute("print('a\\n\\n<b>')\nx + 1", names) == ["<pre>a&#10;&#10;&lt;b&gt;</pre>", "<pre>3</pre>"]
    assert execute("None", names) == []


def test_the_cell_for_hyperspy_runs_where_that_is_installed():
    pytest.importorskip("hyperspy")
    import chemtomo

    dataset = chemtomo.phantom((4, 16), tilts=5)
    result = chemtomo.reconstruct(dataset, method="sirt", iterations=1, device="numpy")
    aligned = type("Aligned", (), {"dataset": dataset})
    (cell,) = [one for one in cells() if SKIPPED in one["metadata"].get("tags", ())]
    names = {"chemtomo": chemtomo, "result": result, "aligned": aligned}
    execute("".join(cell["source"]), names)
    assert len(names["signals"]) == 4
    assert names["same"].shape == dataset["HAADF"].shape
