"""Which layers hold prompts, and buttons that add such layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_psalm.core.bindings import segment_when_drawn
from napari_psalm.core.image_planes import ImagePlane, visible_plane
from napari_psalm.core.prompt_layers import Painted, PromptLayers
from napari_psalm.widgets.layer_combo import LayerCombo
from napari_psalm.widgets.parts import SPACE, row
from psalm.errors import ImageError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image


class PromptPanel(QWidget):
    """Chooses points, shapes and painted labels.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    image : callable
        Gives the chosen image, on whose grid new layers are made.
    segment : callable
        Starts a prediction; used when a prompt is drawn and `live` is ticked.
    problem : callable
        Receives what went wrong, in words.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Callable[[], Image | None],
        segment: Callable[[], None],
        problem: Callable[[str], None],
    ) -> None:
        super().__init__()
        from napari.layers import Labels, Points, Shapes

        self._viewer, self._image, self._segment, self._problem = viewer, image, segment, problem
        self._stop_live: list[Callable[[], None]] = []
        self.points = LayerCombo(viewer, Points, "none")
        self.shapes = LayerCombo(viewer, Shapes, "none")
        self.labels = LayerCombo(viewer, Labels, "none", takes_new=False)
        self.painted = QComboBox()
        self.painted.addItems(["as outlines", "as scribbles"])
        self.painted.setToolTip("Whether what you paint covers the object, or is a rough stroke on it")
        self.live = QCheckBox("Segment after each click or shape")
        self.live.setChecked(True)
        self.live.setToolTip("Predict at once when a point or shape is added; else press Segment")
        self._lay_out()
        for combo in (self.points, self.shapes, self.labels):
            combo.layer_changed.connect(self._follow)
        self.live.toggled.connect(self._follow)
        self._follow()

    @property
    def layers(self) -> PromptLayers:
        """The choice."""
        painted: Painted = "mask" if self.painted.currentIndex() == 0 else "scribble"
        return PromptLayers(self.points.layer, self.shapes.layer, self.labels.layer, painted)

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
            return Points(np.empty((0, plane.ndim)), name="clicks", size=size, **style, **plane.placement())

        self._add(self.points, "add", make)

    def add_shapes(self) -> None:
        """Add a Shapes layer and let the mouse draw rectangles."""
        from napari.layers import Shapes

        style = {"face_color": "transparent", "edge_color": "#ffd23f"}

        def make(plane: ImagePlane) -> Shapes:
            width = max(1, min(plane.shape) // 250)
            return Shapes(None, ndim=plane.ndim, name="shapes", edge_width=width, **style, **plane.placement())

        self._add(self.shapes, "add_rectangle", make)

    def add_labels(self) -> None:
        """Add a Labels layer and let the mouse paint."""
        from napari.layers import Labels

        def make(plane: ImagePlane) -> Labels:
            data = np.zeros(plane.stack_shape, dtype=np.uint8)
            return Labels(data, name="painted", opacity=0.5, **plane.placement())

        self._add(self.labels, "paint", make)

    def disconnect_layers(self) -> None:
        """Stop following the viewer."""
        for stop in self._stop_live:
            stop()
        self._stop_live.clear()
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

    def _follow(self, _change: Any = None) -> None:
        for stop in self._stop_live:
            stop()
        self._painted_row.setVisible(self.labels.layer is not None)
        layers = [combo.layer for combo in (self.points, self.shapes) if combo.layer is not None]
        self._stop_live = [segment_when_drawn(layer, self._segment) for layer in layers if self.live.isChecked()]

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACE)
        entries = (
            ("Points", self.points, self.add_points, "Click", "Add a Points layer: each click marks one object (K)"),
            ("Shapes", self.shapes, self.add_shapes, "Draw", "Add a Shapes layer: rectangles are boxes, ellipses and\n"
             "polygons are outlines, lines and paths are scribbles"),
            ("Labels", self.labels, self.add_labels, "Paint", "Add a Labels layer: each painted id marks one object"),
        )  # fmt: skip
        for i, (name, combo, add, verb, tooltip) in enumerate(entries):
            button = QPushButton(verb)
            button.setToolTip(tooltip)
            button.clicked.connect(lambda _checked=False, add=add: add())
            combo.setToolTip(f"The {name} layer that prompts are read from")
            grid.addWidget(QLabel(name), i, 0)
            grid.addWidget(combo, i, 1)
            grid.addWidget(button, i, 2)
        self._painted_row = QWidget()
        self._painted_row.setLayout(row(QLabel("Painted"), self.painted, stretch=(0, 1)))
        grid.addWidget(self._painted_row, 3, 0, 1, 3)
        grid.addWidget(self.live, 4, 0, 1, 3)
        grid.setColumnStretch(1, 1)
