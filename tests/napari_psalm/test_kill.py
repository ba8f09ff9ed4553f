"""A real process with a real window is killed in the middle of an image; opened again, nothing accepted is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from psalm.store import AnnotationStore, ImageState

ROOT = Path(__file__).resolve().parents[2]
SESSION = """
import sys, time
import napari, numpy as np
from qtpy.QtWidgets import QApplication
from napari_psalm.widgets.annotator import AnnotatorWidget

def wait(until):
    end = time.monotonic() + 120
    while not until():
        assert time.monotonic() < end
        QApplication.processEvents()
        time.sleep(0.01)

viewer = napari.Viewer()
annotator = AnnotatorWidget(viewer)
viewer.window.add_dock_widget(annotator, name="PSALM")
workspace = annotator.workplace.workspace
workspace.open(sys.argv[1])
wait(lambda: workspace.layer is not None)
workspace.step(1)
wait(lambda: workspace.image.path == "b.png" and workspace.layer is not None)
labels = workspace.layer.layer
labels.brush_size = 5
labels.paint((10, 10), 1)
labels.paint((10, 30), 2)
annotator.objects.table.choose([2])
annotator.objects.edit("delete")
labels.undo()
labels.paint((30, 30), 3)
annotator.objects.table.choose([1])
annotator.objects.edit("delete")
print("ready", flush=True)
wait(lambda: False)
"""


def _areas(folder: Path) -> list[int]:
    with AnnotationStore.open(folder, read_only=True) as store:
        image = store.find_image("b.png")
        assert image is not None
        assert image.state is ImageState.IN_REVIEW
        return [found.area for found in store.objects(image.id)]


def test_killed_in_the_middle_of_an_image_it_goes_on_where_it_was(
    make_napari_viewer: Any, post: Any, tmp_path: Path
) -> None:
    from napari_psalm.core.workspace import Workspace

    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(np.zeros((40, 50), dtype=np.uint8)).save(tmp_path / name)
    command = [sys.executable, "-c", SESSION, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    finally:
        process.kill()
        process.stdout.close()
    areas = _areas(tmp_path)
    assert len(areas) == 2

    viewer = make_napari_viewer()
    workspace = Workspace(viewer, post)
    workspace.open(tmp_path)
    post.wait(lambda: workspace.layer is not None, timeout=60)
    assert workspace.image.path == "b.png"
    labels = workspace.layer.layer.data
    assert sorted(workspace.layer.table["area"]) == sorted(areas)
    assert (labels[10, 10], labels[10, 30] > 0, labels[30, 30] > 0) == (0, True, True)
    workspace.close()
