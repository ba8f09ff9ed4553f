"""The object table with thousands of rows: how long the window stands still for each thing a person does.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/object_table.py [OBJECTS]

Prints milliseconds, medians of five; "beside" is the same on a tenth of the objects, so the ratio shows what grows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import napari
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_psalm.core import object_edits
from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.object_facts import FoundObject
from napari_psalm.widgets.object_panel import ObjectPanel
from napari_psalm.widgets.object_table import AREA, CLASS

SIDE = 2048
REPEATS = 5


def main(objects: int = 5000) -> None:
    """Measure with so many objects, and with a tenth of them."""
    many, few = measure(objects), measure(max(objects // 10, 1))
    print(f"\n{objects} objects in {SIDE} x {SIDE}, milliseconds (median of {REPEATS})")
    print(f"{'':34}{'all':>9}{'a tenth':>9}{'ratio':>8}")
    for name, value in many.items():
        print(f"{name:34}{value:9.1f}{few[name]:9.1f}{value / max(few[name], 1e-3):8.1f}")


def measure(objects: int) -> dict[str, float]:
    """Milliseconds of each thing."""
    viewer = napari.Viewer()
    image = viewer.add_image(np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), dtype=np.uint8))
    labels = viewer.add_labels(squares(objects))
    rng = np.random.default_rng(1)
    facts = {
        i: FoundObject(str(rng.choice(["cell", "dust"])), float(rng.random()), "cell", "instance")
        for i in range(1, objects + 1)
    }
    layer = AnnotationLayer(labels, facts)
    layer.recolour(CategoryTable.from_text("cell\ndust"))
    panel = ObjectPanel(viewer, lambda: image, lambda text, level: None)
    viewer.window.add_dock_widget(panel, area="right")
    table = panel.table
    settle()
    rows = iter(rng.integers(0, objects, 100).tolist())
    found = {
        "show the layer": timed(lambda: panel.show_layer(layer)),
        "sort by area, then by class": timed(lambda: [table.sortByColumn(c, ASCENDING) for c in (AREA, CLASS)]),
        "scroll to a row and draw it": timed(lambda: table.scrollTo(table.objects.index(next(rows), 0))),
        "select on the canvas": timed(lambda: setattr(labels, "selected_label", 1 + next(rows))),
        "select a row": timed(lambda: table.selectRow(next(rows))),
        "one stroke of the brush": timed(lambda: labels.paint(spot(rng), 1 + next(rows))),
        "undo it": timed(labels.undo),
        "delete one": timed(lambda: object_edits.delete(layer, layer.ids[:1])),
        "delete a tenth of them": timed(lambda: object_edits.delete(layer, layer.ids[: objects // 10]), repeats=1),
        "give all another class": timed(lambda: object_edits.set_category(layer, layer.ids, "dust"), repeats=1),
    }
    panel.disconnect_layer()
    viewer.close()
    settle()
    return found


ASCENDING = Qt.SortOrder.AscendingOrder


def timed(act: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median milliseconds until the window is drawn again."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        act()
        QApplication.processEvents()
        times.append(1000 * (time.perf_counter() - start))
    return median(times)


def squares(objects: int) -> np.ndarray:
    """Squares on a grid, one id each."""
    data = np.zeros((SIDE, SIDE), dtype=np.uint32)
    across = int(np.ceil(np.sqrt(objects)))
    step = SIDE // across
    for i in range(objects):
        row, column = step * (i // across), step * (i % across)
        data[row : row + max(step - 3, 1), column : column + max(step - 3, 1)] = i + 1
    return data


def spot(rng: np.random.Generator) -> tuple[int, int]:
    """Somewhere in the image."""
    row, column = rng.integers(0, SIDE, 2).tolist()
    return row, column


def settle() -> None:
    """Let the window draw what is left."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        QApplication.processEvents()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
