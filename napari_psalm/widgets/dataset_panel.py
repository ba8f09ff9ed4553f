"""The images of a folder: how far each is, which comes next, and how much is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QSize, Qt
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QLabel,
    QListView,
    QProgressBar,
    QPushButton,
    QWidget,
)

from napari_psalm.core.review_queue import FILTERS, ReviewQueue
from napari_psalm.core.workspace import Workspace
from napari_psalm.widgets.parts import SPACE, column, is_for_canvas, row, swatch
from psalm.store import ImageState

if TYPE_CHECKING:
    from napari_psalm.core.dataset import Dataset

_ORDERS = (("by name", "name"), ("uncertain first", "uncertainty"))
_STATES = {
    ImageState.TODO: ("to do", "#7d8590"),
    ImageState.PREDICTED: ("predicted", "#4aa3df"),
    ImageState.IN_REVIEW: ("in review", "#e8a13a"),
    ImageState.VERIFIED: ("verified", "#5bb974"),
    ImageState.SKIPPED: ("skipped", "#b08bd9"),
    ImageState.FAILED: ("failed", "#e05d5d"),
}
_NO_PARENT = QModelIndex()


class QueueModel(QAbstractListModel):
    """The images of a queue as rows."""

    def __init__(self, queue: ReviewQueue) -> None:
        super().__init__()
        self._queue = queue
        self._dots = {state: swatch(QColor(colour).getRgbF()[:3], round=True) for state, (_, colour) in _STATES.items()}
        queue.changed.connect(self._reset)
        queue.updated.connect(self._update)

    def rowCount(self, parent: QModelIndex = _NO_PARENT) -> int:
        """One row per image."""
        return 0 if parent.isValid() else len(self._queue.images)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What the view draws."""
        if not 0 <= index.row() < len(self._queue.images):
            return None
        image = self._queue.images[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            page = f"  page {image.page + 1}" if image.page else ""
            doubt = self._queue.uncertainty.get(image.id)
            return f"{image.path}{page}" + (f"   {doubt:.2f}" if doubt else "")
        if role == Qt.ItemDataRole.DecorationRole:
            return self._dots[image.state]
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{image.path}: {_STATES[image.state][0]}" + (f"\n{image.error}" if image.error else "")
        return None

    def disconnect_queue(self) -> None:
        """Stop following the queue."""
        self._queue.changed.disconnect(self._reset)
        self._queue.updated.disconnect(self._update)

    def _reset(self) -> None:
        self.beginResetModel()
        self.endResetModel()

    def _update(self, number: int) -> None:
        self.dataChanged.emit(self.index(number), self.index(number))


class _ImageList(QListView):
    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and is_for_canvas(event):
            event.ignore()
        else:
            super().keyPressEvent(event)


class DatasetPanel(QWidget):
    """Opens a folder, shows its images as a list, and goes through them.

    Parameters
    ----------
    workspace : Workspace
        Does the work.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.open = QPushButton("Open folder…")
        self.open.setToolTip("Work through a folder of images, or go on with one; every change is kept at once")
        self.help = QPushButton("?")
        self.help.setToolTip("Show the keys (F1)")
        self.help.setFixedWidth(30)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.filter = QComboBox()
        self.filter.addItems(list(FILTERS))
        self.filter.setToolTip("Which images are listed")
        self.order = QComboBox()
        self.order.addItems([text for text, _ in _ORDERS])
        self.order.setToolTip("Uncertain first: images whose objects the model was least sure of")
        self.images = _ImageList()
        self.model = QueueModel(workspace.queue)
        self.proposals = QPushButton()
        self.proposals.setToolTip("Change the objects as psalm relabel proposes; one undo takes it back")
        self.show_proposals = QPushButton("Show")
        self.show_proposals.setCheckable(True)
        self.show_proposals.setToolTip("Green would be added, red removed; yellow is what objects would become")
        self.previous = QPushButton("◀")
        self.next = QPushButton("▶")
        self.verify = QPushButton("Verify")
        self.review = QPushButton("In review")
        self.skip = QPushButton("Skip")
        self._lay_out()
        self._connect()
        self.refresh()
        self._propose()

    def refresh(self, _change: Any = None) -> None:
        """Show how far the dataset is, and where in it the viewer is."""
        queue, workspace = self.workspace.queue, self.workspace
        on = workspace.dataset is not None
        for widget in (self.filter, self.order, self.images, self.previous, self.next, self.skip, self.bar):
            widget.setVisible(on)
        for widget in (self.verify, self.review):
            widget.setVisible(on)
        done, total = queue.progress
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.words.setText(queue.words if on else "Label a folder, image by image.")
        at = queue.row_of(workspace.image)
        if at is not None and self.images.currentIndex().row() != at:
            self.images.setCurrentIndex(self.model.index(at))
        state = workspace.image.state if workspace.image is not None else None
        self.verify.setEnabled(state not in (None, ImageState.VERIFIED))
        self.skip.setEnabled(state not in (None, ImageState.SKIPPED))
        self.review.setEnabled(state in (ImageState.VERIFIED, ImageState.SKIPPED, ImageState.FAILED))

    def disconnect_workspace(self) -> None:
        """Stop following the workspace; the window may be closing."""
        self.model.disconnect_queue()
        for signal, react in self._followed():
            signal.disconnect(react)

    def _accept(self) -> None:
        self.show_proposals.setChecked(False)
        self.workspace.accept_proposals()
        self._propose()

    def _propose(self, *_shown: Any) -> None:
        """Offer what psalm relabel would change about the image."""
        proposals = self.workspace.proposals
        self.show_proposals.setChecked(False)
        for button in (self.proposals, self.show_proposals):
            button.setVisible(proposals is not None)
        self.proposals.setText("" if proposals is None else f"Relabel: {proposals.words}. Accept")

    def choose_folder(self) -> None:
        """Ask for a folder and open it."""
        folder = QFileDialog.getExistingDirectory(self, "Open a folder of images or a dataset")
        if folder:
            self.workspace.open(folder)

    def _opened(self, dataset: Dataset | None) -> None:
        self.open.setText("Open folder…" if dataset is None else f"{dataset.name}  ▾")
        self.refresh()
        self._propose()

    def _connect(self) -> None:
        workspace, queue = self.workspace, self.workspace.queue
        self.open.clicked.connect(lambda _checked: self.choose_folder())
        self.images.activated.connect(self._go_to)
        self.images.clicked.connect(self._go_to)
        self.filter.currentTextChanged.connect(lambda text: queue.choose(filter=text))
        self.order.currentIndexChanged.connect(lambda i: queue.choose(order=_ORDERS[i][1]))  # type: ignore[arg-type]
        self.proposals.clicked.connect(lambda _checked: self._accept())
        self.show_proposals.toggled.connect(workspace.show_proposals)
        self.previous.clicked.connect(lambda _checked: workspace.step(-1))
        self.next.clicked.connect(lambda _checked: workspace.step(1))
        self.verify.clicked.connect(lambda _checked: workspace.set_state(ImageState.VERIFIED, move=True))
        self.review.clicked.connect(lambda _checked: workspace.set_state(ImageState.IN_REVIEW))
        self.skip.clicked.connect(lambda _checked: workspace.set_state(ImageState.SKIPPED, move=True))
        for signal, react in self._followed():
            signal.connect(react)

    def _followed(self) -> tuple[tuple[Any, Any], ...]:
        workspace, queue = self.workspace, self.workspace.queue
        followed = [(signal, self.refresh) for signal in (queue.changed, queue.updated, workspace.shown)]
        return (*followed, (workspace.opened, self._opened), (workspace.shown, self._propose))

    def _go_to(self, index: QModelIndex) -> None:
        image = self.workspace.queue.images[index.row()]
        if self.workspace.image is None or self.workspace.image.id != image.id or self.workspace.layer is None:
            self.workspace.go_to(image)

    def _lay_out(self) -> None:
        self.images.setModel(self.model)
        self.images.setUniformItemSizes(True)
        self.images.setIconSize(QSize(12, 12))
        self.images.setMinimumHeight(110)
        self.images.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.previous.setToolTip("The image before this one in the list")
        self.next.setToolTip("The image after this one in the list")
        self.verify.setToolTip("This image is right: protect it, and go on to the next one that needs work")
        self.review.setToolTip("Take the image up again, to change it")
        self.skip.setToolTip("Leave this image out, and go on to the next one that needs work")
        layout = column(
            row(self.open, self.help, stretch=(1, 0)),
            self.words,
            self.bar,
            row(self.filter, self.order, stretch=(1, 1)),
            self.images,
            row(self.proposals, self.show_proposals, stretch=(1, 0)),
            row(self.previous, self.verify, self.review, self.skip, self.next, stretch=(1, 2, 2, 2, 1)),
        )
        layout.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        layout.addStretch(1)
        layout.setStretchFactor(self.images, 1000)  # the list takes all the room, where it is shown
        self.setLayout(layout)
