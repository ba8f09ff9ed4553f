"""What to find: a class list, a sentence, prompts or examples, one page each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QLineEdit, QWidget

from napari_psalm.core.category_table import NO_CATEGORY
from napari_psalm.core.prompt_marks import PromptMarks
from napari_psalm.widgets.class_list import ClassList
from napari_psalm.widgets.example_panel import ExamplePanel
from napari_psalm.widgets.parts import Choice, StatusLine, column, row
from napari_psalm.widgets.prompt_panel import PromptPanel
from psalm.conditions import Task
from psalm.known_names import KnownNames

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

CLASSES, SENTENCE, PROMPTS, EXAMPLES = range(4)


class QuestionPanel(QWidget):
    """Four ways to ask.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    image : callable
        Gives the chosen image.
    marks : PromptMarks
        Knows which object the next prompt marks.
    segment : callable
        Starts a prediction.
    drawn : callable
        Called after prompts were drawn, moved or removed.
    problem : callable
        Receives what went wrong, in words.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Callable[[], Image | None],
        marks: PromptMarks,
        segment: Callable[[], None],
        drawn: Callable[[], None],
        problem: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._drawn = drawn
        self.mode = Choice(
            ("Class list", "Sentence", "Prompts", "Examples"),
            (
                "Find everything of these classes",
                "Find what a sentence describes",
                "Find what you click, draw or paint on",
                "Find what looks like objects that are there",
            ),
        )
        self.classes = ClassList()
        self.sentence = QLineEdit()
        self.sentence.setPlaceholderText("the cell on the left")
        self.sentence.setToolTip("Describe one object in words, then press Enter")
        self.sentence.setClearButtonEnabled(True)
        self.several = QCheckBox("Several objects may be meant")
        self.several.setToolTip("The objects that fit are joined into one mask; otherwise the one best object is taken")
        self.prompts = PromptPanel(viewer, image, marks, self._prompts_drawn, problem)
        self.examples = ExamplePanel()
        self.category = QComboBox()
        self.category.setToolTip("The class that the object gets in the result and in the export")
        self._sentence_page, self._category_row = QWidget(), QWidget()
        self._sentence_page.setLayout(column(self.sentence, self.several))
        self._category_row.setLayout(row(QLabel("Class"), self.category, stretch=(0, 1)))
        self.warning = StatusLine()
        self._pages = (self.classes, self._sentence_page, self.prompts, self.examples)
        self.setLayout(column(self.mode, *self._pages, self.warning, self._category_row))
        self.mode.changed.connect(lambda _index: self._show_mode())
        self.classes.changed.connect(self._new_classes)
        self.sentence.returnPressed.connect(segment)
        self.classes.problem.connect(problem)
        self._show_mode()
        self._new_classes()

    @property
    def task(self) -> Task:
        """What the chosen page asks for."""
        if self.mode.index == CLASSES:
            return self.classes.chosen_task
        if self.mode.index == PROMPTS:
            return Task.INTERACTIVE
        if self.mode.index == EXAMPLES:
            return Task.INSTANCE
        return Task.GENERALISED_REFERRING if self.several.isChecked() else Task.REFERRING

    def set_known_names(self, names: tuple[str, ...]) -> None:
        """The names that the model was trained on; none where that is not known."""
        self.classes.set_known_names(KnownNames(names))
        self._warn()

    def ready_for_clicks(self) -> None:
        """Show the prompts, and let clicks on the canvas mark objects."""
        self.mode.choose(PROMPTS)
        self.prompts.ready_for_clicks()

    def _prompts_drawn(self) -> None:
        if not self.prompts.marks.excluding:
            self.mode.choose(PROMPTS)
        self._drawn()

    def _warn(self) -> None:
        """Say which names the model was never trained on, and which it knows."""
        known, strange = self.classes.known, self.classes.unknown
        self.warning.setVisible(bool(strange) and self.mode.index == CLASSES)
        if strange:
            self.warning.say(known.warning(strange), "problem")
            self.warning.setToolTip("It knows: " + ", ".join(known.names))

    def _show_mode(self) -> None:
        for i, page in enumerate(self._pages):
            page.setVisible(i == self.mode.index)
        self._category_row.setVisible(self.mode.index not in (CLASSES, EXAMPLES))
        self._warn()

    def _new_classes(self) -> None:
        names = (*self.classes.table.names, NO_CATEGORY)
        before = self.category.currentText()
        self.category.clear()
        self.category.addItems(names)
        self.category.setCurrentIndex(names.index(before) if before in names[:-1] else 0)
        self._warn()
