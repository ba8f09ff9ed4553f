"""The table of objects: a model that reads the layer, and a view that follows the canvas and is followed by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QItemSelection, QItemSelectionModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QImage, QKeyEvent, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.object_colours import object_colour
from napari_psalm.core.thumbnails import thumbnail
from napari_psalm.widgets.parts import is_for_canvas, swatch

if TYPE_CHECKING:
    from napari.layers import Image

THUMBNAIL = 36
COLUMNS = ("", "Class", "Score", "Area", "Origin", "Id")
PICTURE, CLASS, SCORE, AREA, ORIGIN, ID = range(6)
_ORIGINS = {
    "model": "as the model made it",
    "both": "made by the model, changed by hand",
    "hand": "drawn by hand",
}
_NO_PARENT = QModelIndex()


class ObjectTableModel(QAbstractTableModel):
    """Objects of a layer as rows; values and pictures are made when a row is drawn.

    Parameters
    ----------
    image : callable
        Gives the image under the objects, or None.
    """

    def __init__(self, image: Callable[[], Image | None]) -> None:
        super().__init__()
        self._image = image
        self._layer: AnnotationLayer | None = None
        self._ids: list[int] = []
        self._rows: dict[int, int] = {}
        self._pictures: dict[int, QPixmap] = {}
        self._swatches: dict[tuple[float, float, float], QPixmap] = {}
        self._order = (ID, Qt.SortOrder.AscendingOrder)
        self._class: str | None = None

    @property
    def ids(self) -> list[int]:
        """The objects in the order of the rows."""
        return self._ids

    def row_of(self, label_id: int) -> int | None:
        """The row of an object."""
        return self._rows.get(label_id)

    def show(self, layer: AnnotationLayer | None) -> None:
        """Show the objects of another layer."""
        self._layer = layer
        self._pictures.clear()
        self.update()

    def filter(self, name: str | None) -> None:
        """Show the objects of one class only; None for all."""
        self._class = name
        self.update()

    def update(self, changed: frozenset[int] | None = None) -> None:
        """Show what the layer holds now.

        Parameters
        ----------
        changed : frozenset of int, optional
            Objects that look different; all when not given.
        """
        for label_id in list(self._pictures) if changed is None else changed:
            self._pictures.pop(label_id, None)
        ids = self._sorted()
        if ids == self._ids:
            if ids:
                self.dataChanged.emit(self.index(0, 0), self.index(len(ids) - 1, len(COLUMNS) - 1))
            return
        self.beginResetModel()
        self._ids = ids
        self._rows = {label_id: row for row, label_id in enumerate(ids)}
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the rows by a column."""
        if (column, order) != self._order:
            self._order = (column, order)
            self.update(frozenset())

    def rowCount(self, parent: QModelIndex = _NO_PARENT) -> int:
        """One row per object."""
        return 0 if parent.isValid() else len(self._ids)

    def columnCount(self, parent: QModelIndex = _NO_PARENT) -> int:
        """Picture, class, score, area, origin, id."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Titles of the columns."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What the view draws."""
        if self._layer is None or not 0 <= index.row() < len(self._ids):
            return None
        label_id, column = self._ids[index.row()], index.column()
        if label_id not in self._layer.index:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(label_id, column)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._decoration(label_id, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (SCORE, AREA, ID):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            found = self._layer.facts(label_id)
            return f"{found.category}: {found.prompt}\n{_ORIGINS[self._layer.origin(label_id)]}"
        return None

    def _text(self, label_id: int, column: int) -> str | None:
        layer = self._layer
        if layer is None or column == PICTURE:
            return None
        if column == CLASS:
            return layer.facts(label_id).category
        if column == SCORE:
            found = layer.facts(label_id)
            return "" if found.origin == "hand" else f"{found.score:.2f}"
        if column == AREA:
            return str(layer.index.area(label_id))
        return layer.origin(label_id) if column == ORIGIN else str(label_id)

    def _decoration(self, label_id: int, column: int) -> Any:
        layer = self._layer
        if layer is None:
            return None
        if column == CLASS and layer.categories is not None:
            return self._swatch(object_colour(label_id, layer.facts(label_id).category, layer.categories))
        if column != PICTURE:
            return None
        if label_id not in self._pictures:
            pixels = np.ascontiguousarray(thumbnail(layer, label_id, self._image(), THUMBNAIL))
            height, width = pixels.shape[:2]
            drawn = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
            self._pictures[label_id] = QPixmap.fromImage(drawn.copy())
        return self._pictures[label_id]

    def _swatch(self, colour: tuple[float, float, float]) -> QPixmap:
        if colour not in self._swatches:
            self._swatches[colour] = swatch(colour)
        return self._swatches[colour]

    def _sorted(self) -> list[int]:
        layer = self._layer
        if layer is None:
            return []
        ids = layer.ids
        if self._class is not None:
            ids = [label_id for label_id in ids if layer.facts(label_id).category == self._class]
        column, order = self._order
        keys: dict[int, Callable[[int], Any]] = {
            PICTURE: layer.index.area,
            CLASS: lambda label_id: layer.facts(label_id).category,
            SCORE: lambda label_id: layer.facts(label_id).score,
            AREA: layer.index.area,
            ORIGIN: layer.origin,
            ID: lambda label_id: label_id,
        }
        return sorted(ids, key=keys[column], reverse=order == Qt.SortOrder.DescendingOrder)


class ObjectTable(QTableView):
    """Shows the objects; selecting rows tells of it, selecting an object from outside brings its row into view.

    Parameters
    ----------
    image : callable
        Gives the image under the objects, or None.
    """

    selected = Signal(list)
    """Ids of the objects that the user selected, the current one first."""

    def __init__(self, image: Callable[[], Image | None]) -> None:
        super().__init__()
        self.objects = ObjectTableModel(image)
        self.setModel(self.objects)
        self._quiet = False
        self._before: list[int] = []
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(136)
        self._lay_out_headers()
        self.setSortingEnabled(True)
        self.sortByColumn(ID, Qt.SortOrder.AscendingOrder)
        self.objects.modelAboutToBeReset.connect(self._keep_selection)
        self.objects.modelReset.connect(self._restore_selection)
        chosen = self.selectionModel()
        if chosen is not None:
            chosen.selectionChanged.connect(self._tell)

    @property
    def ids(self) -> list[int]:
        """The selected objects, the current one first."""
        chosen = self.selectionModel()
        if chosen is None:
            return []
        current = chosen.currentIndex()
        rows = sorted({index.row() for index in chosen.selectedRows()})
        ids = [self.objects.ids[row] for row in rows if row < len(self.objects.ids)]
        if current.isValid() and current.row() in rows:
            first = self.objects.ids[current.row()]
            ids = [first, *(label_id for label_id in ids if label_id != first)]
        return ids

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Leave letters and digits to the keys of the annotator."""
        if event is not None and is_for_canvas(event):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def choose(self, ids: Sequence[int], scroll: bool = True) -> None:
        """Select objects without telling of it; those that are not there are left out."""
        rows = [row for label_id in ids if (row := self.objects.row_of(label_id)) is not None]
        chosen = self.selectionModel()
        if chosen is None:
            return
        selection = QItemSelection()
        last = len(COLUMNS) - 1
        for first, end in _runs(sorted(rows)):
            selection.select(self.objects.index(first, 0), self.objects.index(end, last))
        self._quiet = True
        chosen.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if rows:
            current = self.objects.index(rows[0], CLASS)
            chosen.setCurrentIndex(current, QItemSelectionModel.SelectionFlag.NoUpdate)
            if scroll:
                self.scrollTo(current)
        self._quiet = False

    def _keep_selection(self) -> None:
        self._before, self._quiet = self.ids, True

    def _restore_selection(self) -> None:
        self.choose(self._before, scroll=False)
        self._quiet = False

    def _tell(self, *_change: object) -> None:
        if not self._quiet:
            self.selected.emit(self.ids)

    def _lay_out_headers(self) -> None:
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        if rows is None or columns is None:
            return
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(THUMBNAIL + 4)
        columns.setHighlightSections(False)
        columns.setMinimumSectionSize(24)
        for column, width in zip(range(len(COLUMNS)), (THUMBNAIL + 8, 90, 46, 50, 48, 44), strict=True):
            self.setColumnWidth(column, width)
        columns.setSectionResizeMode(CLASS, QHeaderView.ResizeMode.Stretch)


def _runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs
