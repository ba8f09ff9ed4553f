"""Where objects go, and what happens to those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_psalm.widgets.layer_combo import LayerCombo
from napari_psalm.widgets.parts import SPACE, Choice

if TYPE_CHECKING:
    from napari.components import ViewerModel


class ResultPanel(QWidget):
    """Chooses the Labels layer, and whether earlier objects stay.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    """

    layer_changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        from napari.layers import Labels

        self.layers = LayerCombo(viewer, Labels, "New layer", takes_new=False)
        self.layers.setToolTip("The Labels layer that objects are written to; paint in it to correct them")
        self.layers.layer_changed.connect(self.layer_changed)
        self.existing = Choice(
            ("Keep", "Replace"),
            (
                "Objects that are there stay as they are; new ones take free pixels only",
                "Take away what the same kind of question found on this slice before",
            ),
        )
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(SPACE)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Write to", self.layers)
        form.addRow("Earlier objects", self.existing)

    @property
    def replace(self) -> bool:
        """Whether earlier objects are taken away."""
        return self.existing.index == 1
