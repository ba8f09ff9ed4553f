"""Which layers hold prompts, and buttons that add such layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_psalm.core.image_planes import ImagePlane, visible_plane
from napari_psalm.core.prompt_layers import Painted, PromptLayers
from napari_psalm.core.prompt_marks import PromptMarks
from napari_psalm.widgets.coalesced import Coalesced
from napari_psalm.widgets.layer_combo import LayerCombo
from napari_psalm.widgets.parts import SPACE, Choice, row
from psalm.errors import ImageError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image


_ASK_EVERY = 120  # milliseconds
_EXCLUDE_TOOLTIP = (
    "Mark what does not belong to the object: it is drawn anew without it.\n"
    "Where a model knows no exclusions, as the published one, what is found\n"
    "at the place is cut out of the mask. Clicks and shapes can exclude, paint cannot."
)


class PromptPanel(QWidget):
    """Chooses points, shapes and painted labels, and says what the next of them means.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    image : callable
        Gives the chosen image, on whose grid new layers are made.
    marks : PromptMarks
        Knows which object the next prompt marks.
    drawn : callable
        Called after prompts were drawn, moved or removed while `live` is ticked.
    problem : callable
        Receives what went wrong, in words.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Callable[[], Image | None],
        marks: PromptMarks,
        drawn: Callable[[], None],
        problem: Callable[[str], None],
    ) -> None:
        super().__init__()
        from napari.layers import Labels, Points, Shapes

        self._viewer, self._image, self.marks, self._problem = viewer, image, marks, problem
        self._ask = Coalesced(drawn, _ASK_EVERY, self)
        self.points = LayerCombo(viewer, Points, "none")
        self.shapes = LayerCombo(viewer, Shapes, "none")
        self.labels = LayerCombo(viewer, Labels, "none", takes_new=False)
        self.painted = QComboBox()
        self.painted.addItems(["as outlines", "as scribbles"])
        self.painted.setToolTip("Whether what you paint covers the object, or is a rough stroke on it")
        self.add_buttons: dict[str, QPushButton] = {}
        self.live = QCheckBox("Segment after each prompt")
        self.live.setChecked(True)
        self.live.setToolTip("Predict at once when a prompt is drawn, moved or removed; else press Segment")
        self.grouping = Choice(
            ("New object", "Same object"),
            (
                "Each click, shape or stroke marks an object of its own",
                "Clicks, shapes and strokes mark one object together, until you press Next object",
            ),
        )
        self.meaning = Choice(("Include", "Exclude"), ("Mark what belongs to the object", _EXCLUDE_TOOLTIP))
        self.next = QPushButton("Next object")
        self.next.setToolTip("The next prompts mark another object; all are found in one pass")
        self._lay_out()
        self._connect()
        self._follow()
        self._show_marks()

    @property
    def layers(self) -> PromptLayers:
        """The choice."""
        painted: Painted = "mask" if self.painted.currentIndex() == 0 else "scribble"
        return PromptLayers(self.points.layer, self.shapes.layer, self.labels.layer, painted)

    def next_object(self) -> None:
        """Let the next prompts mark another object."""
        self.marks.next_object()

    def toggle_exclusion(self) -> None:
        """Let the next prompts exclude, or include again."""
        self.marks.excluding = not self.marks.excluding

    def ready_for_clicks(self) -> None:
        """Choose the points layer, made when there is none, and let clicks on the canvas add points."""
        if self.points.layer is None:
            self.add_points()
            return
        self._activate(self.points.layer, "add")

    def add_points(self) -> None:
        """Add a Points layer and let clicks add to it."""
        from napari.layers import Points

        style: dict[str, Any] = {"face_color": "#ffd23f", "border_color": "#202020", "symbol": "disc"}

        def make(plane: ImagePlane) -> Points:
            size = max(4, min(plane.shape) // 40)
            layer = Points(np.empty((0, plane.ndim)), name="clicks", size=size, **style, **plane.placement())
            self.marks.adopt(layer)
            return layer

        self._add(self.points, "add", make)

    def add_shapes(self) -> None:
        """Add a Shapes layer and let the mouse draw rectangles."""
        from napari.layers import Shapes

        style = {"face_color": "transparent", "edge_color": "#ffd23f"}

        def make(plane: ImagePlane) -> Shapes:
            width = max(1, min(plane.shape) // 250)
            layer = Shapes(None, ndim=plane.ndim, name="shapes", edge_width=width, **style, **plane.placement())
            self.marks.adopt(layer)
            return layer

        self._add(self.shapes, "add_rectangle", make)

    def add_labels(self) -> None:
        """Add a Labels layer and let the mouse paint."""
        from napari.layers import Labels

        def make(plane: ImagePlane) -> Labels:
            data = np.zeros(plane.stack_shape, dtype=np.uint16)
            layer = Labels(data, name="painted", opacity=0.5, **plane.placement())
            layer.brush_size = max(2, min(plane.shape) // 60)
            self.marks.adopt(layer)
            return layer

        self._add(self.labels, "paint", make)

    def disconnect_layers(self) -> None:
        """Stop following the viewer."""
        self._ask.stop()
        self.marks.unfollow()
        self.marks.drawn.disconnect(self._on_drawn)
        self.marks.changed.disconnect(self._show_marks)
        for combo in (self.points, self.shapes, self.labels):
            combo.disconnect_layers()

    def _add(self, combo: LayerCombo, mode: str, make: Callable[[ImagePlane], Any]) -> None:
        try:
            plane = visible_plane(self._viewer, self._image())
        except ImageError as error:
            self._problem(str(error))
            return
        layer = make(plane)
        self._viewer.add_layer(layer)
        combo.choose(layer)
        self._activate(layer, mode)

    def _activate(self, layer: Any, mode: str) -> None:
        self._viewer.layers.selection.active = layer
        layer.mode = mode

    def _connect(self) -> None:
        for combo in (self.points, self.shapes, self.labels):
            combo.layer_changed.connect(self._follow)
        self.grouping.changed.connect(self._group)
        self.meaning.changed.connect(self._exclude)
        self.next.clicked.connect(lambda _checked: self.next_object())
        self.marks.drawn.connect(self._on_drawn)
        self.marks.changed.connect(self._show_marks)

    def _follow(self, _change: Any = None) -> None:
        self._painted_row.setVisible(self.labels.layer is not None)
        self.marks.follow(self.layers.chosen)

    def _on_drawn(self) -> None:
        if self.live.isChecked():
            self._ask.call()

    def _group(self, index: int) -> None:
        self.marks.separate = index == 0
        self.marks.next_object()

    def _exclude(self, index: int) -> None:
        self.marks.excluding = index == 1

    def _show_marks(self) -> None:
        with QSignalBlocker(self.meaning):
            self.meaning.choose(int(self.marks.excluding))
        self.next.setEnabled(not self.marks.separate)

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACE)
        entries = (
            ("Points", self.points, self.add_points, "Click", "Add a Points layer: each click marks one object"),
            ("Shapes", self.shapes, self.add_shapes, "Draw", "Add a Shapes layer: rectangles are boxes, ellipses and\n"
             "polygons are outlines, lines and paths are scribbles"),
            ("Labels", self.labels, self.add_labels, "Paint", "Add a Labels layer: each painted id marks one object"),
        )  # fmt: skip
        for i, (name, combo, add, verb, tooltip) in enumerate(entries):
            button = self.add_buttons[name] = QPushButton(verb)
            button.setToolTip(tooltip)
            button.clicked.connect(lambda _checked=False, add=add: add())
            combo.setToolTip(f"The {name} layer that prompts are read from")
            grid.addWidget(QLabel(name), i, 0)
            grid.addWidget(combo, i, 1)
            grid.addWidget(button, i, 2)
        self._painted_row = QWidget()
        self._painted_row.setLayout(row(QLabel("Painted"), self.painted, stretch=(0, 1)))
        grid.addWidget(self._painted_row, 3, 0, 1, 3)
        grid.addWidget(QLabel("Each is"), 4, 0)
        grid.addWidget(self.grouping, 4, 1)
        grid.addWidget(self.next, 4, 2)
        grid.addWidget(QLabel("Marks"), 5, 0)
        grid.addWidget(self.meaning, 5, 1, 1, 2)
        grid.addWidget(self.live, 6, 0, 1, 3)
        grid.setColumnStretch(1, 1)
