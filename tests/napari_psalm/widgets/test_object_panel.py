from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.category_table import CategoryTable
from napari_psalm.widgets.object_panel import ObjectPanel
from napari_psalm.widgets.object_table import AREA, CLASS, ID, ORIGIN, PICTURE, SCORE


@pytest.fixture
def panel(qtbot: Any) -> Iterator[ObjectPanel]:
    """Objects 1, 2 and 3 in a row, of 4, 9 and 16 pixels, and one of two parts; the panel beside them."""
    viewer = ViewerModel()
    data = np.zeros((40, 60), dtype=np.uint16)
    for i, side in enumerate((2, 3, 4), start=1):
        data[5 : 5 + side, 10 * i : 10 * i + side] = i
    data[20:22, 10:12] = data[30:32, 50:52] = 4
    image = viewer.add_image(np.arange(2400, dtype=np.uint16).reshape(40, 60), name="ramp")
    labels = viewer.add_labels(
        data,
        features={
            "index": [1, 2, 3, 4],
            "class": ["coin", "dust", "coin", "dust"],
            "score": [0.9, 0.5, 0.7, 0.6],
            "prompt": ["coin", "dust", "coin", "dust"],
            "task": ["instance"] * 4,
        },
    )
    said: list[tuple[str, str]] = []
    panel = ObjectPanel(viewer, lambda: image, lambda text, level: said.append((text, level)))
    panel.said = said
    panel.viewer = viewer
    panel.show_layer(AnnotationLayer(labels))
    panel.layer.recolour(CategoryTable.from_text("coin\ndust"))
    panel.set_classes(("coin", "dust", "object"))
    qtbot.addWidget(panel)
    panel.resize(360, 700)
    panel.show()
    yield panel
    panel.disconnect_layer()


def _texts(panel: ObjectPanel, column: int) -> list[str]:
    model = panel.table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def _click(qtbot: Any, panel: ObjectPanel, row: int, keys: Any = Qt.KeyboardModifier.NoModifier) -> None:
    place = panel.table.visualRect(panel.table.model().index(row, CLASS)).center()
    qtbot.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, keys, place)


def test_each_object_has_a_row(panel: ObjectPanel) -> None:
    assert _texts(panel, CLASS) == ["coin", "dust", "coin", "dust"]
    assert _texts(panel, SCORE) == ["0.90", "0.50", "0.70", "0.60"]
    assert _texts(panel, AREA) == ["4", "9", "16", "8"]
    assert _texts(panel, ORIGIN) == ["model"] * 4
    picture = panel.table.model().index(2, PICTURE).data(Qt.ItemDataRole.DecorationRole)
    assert not picture.isNull()
    assert panel.count.text() == "coin: 2, dust: 2"


def test_a_click_on_a_row_selects_the_object_and_centres_it(qtbot: Any, panel: ObjectPanel) -> None:
    _click(qtbot, panel, 2)
    assert panel.layer.layer.selected_label == 3
    assert panel.viewer.scene.camera.center[1:] == (6.5, 31.5)


def test_a_row_of_an_object_that_is_on_the_slice_leaves_the_slice(qtbot: Any) -> None:
    viewer = ViewerModel()
    data = np.zeros((9, 20, 40), np.uint32)
    for i in (0, 1, 2, 7):
        data[i, 5:8, 4 * i : 4 * i + 4] = 3
    labels = viewer.add_labels(data, scale=(2, 1, 1))
    panel = ObjectPanel(viewer, lambda: None, lambda _text, _level: None)
    qtbot.addWidget(panel)
    panel.show_layer(AnnotationLayer(labels))
    seen = []
    for index in (1, 7, 5, 3):
        viewer.dims.set_point(0, 2 * index)
        panel._on_rows([3])
        seen.append((viewer.dims.current_step[0], viewer.scene.camera.center[-1]))
    assert seen == [(1, 5.5), (7, 29.5), (7, 29.5), (2, 9.5)]


def test_picking_on_the_canvas_selects_the_row(panel: ObjectPanel) -> None:
    centre = panel.viewer.scene.camera.center
    panel.layer.layer.selected_label = 4
    assert panel.table.ids == [4]
    assert panel.viewer.scene.camera.center == centre
    panel.layer.layer.selected_label = 77
    assert panel.table.ids == [4]


@pytest.mark.parametrize(("column", "ids"), [(SCORE, [2, 4, 3, 1]), (AREA, [1, 4, 2, 3]), (CLASS, [1, 3, 2, 4])])
def test_columns_sort_and_keep_the_selection(panel: ObjectPanel, column: int, ids: list[int]) -> None:
    panel.table.choose([2, 3])
    panel.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
    assert panel.table.objects.ids == ids
    assert sorted(panel.table.ids) == [2, 3]
    panel.table.sortByColumn(ID, Qt.SortOrder.DescendingOrder)
    assert panel.table.objects.ids == [4, 3, 2, 1]


def test_several_rows_get_a_class_at_once(qtbot: Any, panel: ObjectPanel) -> None:
    _click(qtbot, panel, 0)
    _click(qtbot, panel, 2, Qt.KeyboardModifier.ControlModifier)
    panel.category.setCurrentText("dust")
    panel.give.click()
    assert panel.count.text() == "dust: 4"
    assert len(panel.table.ids) == 2
    assert panel.said[-1] == ("2 objects set to dust.", "good")
    panel.undo.click()
    assert panel.count.text() == "coin: 2, dust: 2"
    panel.redo.click()
    assert panel.count.text() == "dust: 4"


def test_edits_work_on_the_selected_rows(panel: ObjectPanel) -> None:
    panel.table.choose([4])
    panel.edits["split"].click()
    assert len(panel.layer.ids) == 5
    assert len(panel.table.ids) == 2
    panel.edits["merge"].click()
    assert len(panel.table.ids) == 1
    panel.edits["delete"].click()
    assert panel.layer.ids == [1, 2, 3]
    for _ in range(3):
        panel.undo.click()
    assert panel.layer.ids == [1, 2, 3, 4]
    assert panel.said[-1][1] == "good"


def test_without_a_row_the_object_on_the_canvas_is_meant(panel: ObjectPanel) -> None:
    panel.table.clearSelection()
    panel.layer.layer.selected_label = 50
    panel.edit("delete")
    assert "No object is selected" in panel.said[-1][0]
    panel.set_class("dust")
    assert panel.said[-1] == ("What you paint next is a dust.", "info")
    panel.layer.layer.data_setitem((np.array([0]), np.array([0])), 50)
    assert panel.layer.facts(50).category == "dust"
    assert "hand" in _texts(panel, ORIGIN)


def test_the_table_shows_one_class_only_when_asked(panel: ObjectPanel) -> None:
    panel.filter.setCurrentText("dust")
    assert panel.table.objects.ids == [2, 4]
    panel.table.choose([2])
    panel.set_class("coin")
    assert panel.table.objects.ids == [4]
    panel.filter.setCurrentIndex(0)
    assert len(panel.table.objects.ids) == 4


def test_stepping_goes_round(panel: ObjectPanel) -> None:
    for expected in (2, 3):
        panel.step(1)
        assert panel.layer.layer.selected_label == expected
    for expected in (2, 1, 4):
        panel.step(-1)
        assert panel.layer.layer.selected_label == expected


def test_letters_in_the_table_are_left_to_the_keys_of_the_annotator(qtbot: Any, panel: ObjectPanel) -> None:
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QKeyEvent

    def accepted(key: Any, text: str) -> bool:
        event = QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier, text)
        panel.table.keyPressEvent(event)
        return event.isAccepted()

    assert not accepted(Qt.Key.Key_Period, ".")
    assert not accepted(Qt.Key.Key_W, "w")
    assert accepted(Qt.Key.Key_Down, "")


def test_painting_shows_in_the_table_at_once(panel: ObjectPanel) -> None:
    panel.layer.layer.brush_size = 1
    panel.layer.layer.paint((5, 12), 1)
    assert (_texts(panel, AREA)[0], _texts(panel, ORIGIN)[0]) == ("5", "both")


def test_without_a_layer_nothing_can_be_done(panel: ObjectPanel) -> None:
    panel.show_layer(None)
    assert panel.table.model().rowCount() == 0
    assert not panel.edits["delete"].isEnabled()
    panel.edit("delete")
    panel.step(1)
    panel.set_class("coin")


def test_pictures_of_any_image_can_be_drawn(panel: ObjectPanel) -> None:
    import dask.array
    from napari.layers import Image, Labels

    from napari_psalm.core.thumbnails import thumbnail

    shape = (3, 40, 60)
    data = np.zeros(shape, dtype=np.uint8)
    data[1, :30, 10:12] = 5
    layer = AnnotationLayer(Labels(data))
    rgb = np.zeros((*shape, 3), dtype=np.uint8)
    for pixels in (np.random.default_rng(0).random(shape), dask.array.ones(shape), rgb):
        picture = thumbnail(layer, 5, Image(pixels, rgb=pixels.ndim == 4), 32)
        assert picture.dtype == np.uint8
        assert max(picture.shape[:2]) == 32
    assert thumbnail(layer, 5, Image(np.zeros((9, 9))), 32).max() > 0


def test_the_thumbnail_of_an_object_that_leaves_and_comes_back_shows_it() -> None:
    from napari.layers import Labels

    from napari_psalm.core.thumbnails import thumbnail

    data = np.zeros((5, 60, 80), np.uint32)
    data[0, 5:15, 5:15], data[4, 40:50, 60:70] = 7, 7  # and not in the middle
    layer = AnnotationLayer(Labels(data))
    picture = thumbnail(layer, 7, None, 32).astype(int)
    inside = np.ptp(picture, axis=-1) + abs(picture[..., 0] - 48) > 0
    # It fills the picture but for a margin, though the object's places are far apart.
    assert inside.mean() > 0.3
