from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManifest

MANIFEST = Path(__file__).resolve().parents[2] / "napari_psalm" / "napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_every_command_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()
    used = {
        item.command
        for kind in ("widgets", "readers", "writers", "sample_data")
        for item in getattr(manifest.contributions, kind)
    }
    used |= {item.command for items in manifest.contributions.menus.values() for item in items}
    assert used == {command.id for command in manifest.contributions.commands}


@pytest.mark.parametrize("name", ["coins", "cell", "cat", "coffee", "tissue"])
def test_samples_open_with_a_class_list(name: str) -> None:
    from napari.layers import Image

    from napari_psalm import _sample_data
    from napari_psalm.core.category_table import CategoryTable

    ((data, attributes, kind),) = getattr(_sample_data, name)()
    layer = Image(data, **attributes)
    assert kind == "image"
    assert layer.ndim == 2
    assert np.ptp(data) > 0
    assert CategoryTable.from_records(layer.metadata["psalm"]["categories"]).names


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("napari_psalm", ("torch", "napari", "qtpy", "numpy")),
        ("napari_psalm.core.session", ("torch", "qtpy", "PyQt6", "napari")),
        ("napari_psalm.widgets.annotator", ("torch", "transformers", "timm")),
    ],
)
def test_imports_stay_light(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=MANIFEST.parents[1]
    )
    assert done.stdout.split() == []


@pytest.mark.filterwarnings("error::FutureWarning")
def test_napari_docks_the_widget(
    make_napari_viewer: Any, npe2pm: Any, qtbot: Any, image: np.ndarray, predictor: Any
) -> None:
    """Through the plugin menu a widget gets a viewer that guards what is private."""
    with npe2pm.tmp_plugin(package=None, manifest=PluginManifest.from_file(MANIFEST)):
        viewer = make_napari_viewer()
        viewer.add_image(image, name="squares", scale=(2, 2))
        _, widget = viewer.window.add_plugin_dock_widget("napari-psalm", "PSALM annotator")
        widget.session._answerer._load = lambda _name: predictor
        widget.preview.first.setChecked(False)
        widget.question.classes.editor.setPlainText("square")
        widget.segment()
        qtbot.waitUntil(lambda: not widget.session.runner.busy)
        assert viewer.layers["squares objects"].data.max() == 3
        widget.question.ready_for_clicks()
        viewer.layers["squares objects"].undo()
        viewer.layers["clicks"].add([[15, 30]])
        qtbot.waitUntil(lambda: not widget.session.runner.busy)
        assert list(viewer.layers["squares objects"].features["prompt"]) == ["point 1"]
        viewer.layers.remove("squares")
        assert widget.image.layer is None


def test_napari_saves_labels_through_our_writer(make_napari_viewer: Any, tmp_path: Path, npe2pm: Any) -> None:
    from psalm.coco import read_coco

    with npe2pm.tmp_plugin(package=None, manifest=PluginManifest.from_file(MANIFEST)):
        viewer = make_napari_viewer()
        viewer.add_labels(np.eye(6, dtype=np.uint8))
        path = str(tmp_path / "eye.json")
        assert viewer.layers.save(path, plugin="napari-psalm") == [path]
        assert len(read_coco(path).annotations) == 1
        opened = viewer.open(path, plugin="napari-psalm")
        np.testing.assert_array_equal(opened[0].data, np.eye(6))


def test_the_menu_opens_a_folder(
    make_napari_viewer: Any,
    npe2pm: Any,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    image: np.ndarray,
) -> None:
    from PIL import Image

    from napari_psalm._commands import open_folder
    from napari_psalm.widgets import dataset_panel

    Image.fromarray(image).save(tmp_path / "a.png")
    monkeypatch.setattr(dataset_panel.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    with npe2pm.tmp_plugin(package=None, manifest=PluginManifest.from_file(MANIFEST)):
        viewer = make_napari_viewer()
        open_folder()
        qtbot.waitUntil(lambda: "a objects" in viewer.layers)
        assert (tmp_path / "psalm.db").exists()
