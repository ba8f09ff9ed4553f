"""A model labels a folder, another one sees it differently, and a person accepts that in the viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from psalm.conditions import CategoryCondition
from psalm.prelabel import prelabel
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.pipeline import HereEngine
from psalm.prelabel.relabel import relabel
from psalm.store import AnnotationStore
from tests.psalm.prelabel.fakes import FakePredictor, make_images


def _masks(dataset: Path, image_id: int) -> list[np.ndarray]:
    with AnnotationStore.open(dataset, read_only=True) as store:
        return [found.mask() for found in store.objects(image_id)]


def test_differences_are_shown_accepted_and_taken_back(qtbot: Any, annotator: Any, tmp_path: Path) -> None:
    folder, dataset = make_images(tmp_path / "images", 3), tmp_path / "out"
    prelabel(folder, dataset, [CategoryCondition(["cell", "coin"])], FakePredictor())
    other = FakePredictor(shift=1, weights_hash="1" * 32)
    report = relabel(dataset, HereEngine(Labeller(other, folder)))
    assert report.changed > 0
    workspace, panel = annotator.workplace.workspace, annotator.workplace.panel
    workspace.open(dataset)
    qtbot.waitUntil(lambda: workspace.layer is not None)
    while workspace.proposals is None:
        shown = workspace.image.id
        workspace.step(1)
        qtbot.waitUntil(lambda shown=shown: workspace.image.id != shown and workspace.layer is not None)
    assert panel.proposals.text() == f"Relabel: {workspace.proposals.words}. Accept"
    assert not panel.proposals.isHidden() and not panel.show_proposals.isHidden()

    before, layers = _masks(dataset, workspace.image.id), list(annotator.viewer.layers)
    proposed = workspace.proposals
    panel.show_proposals.click()
    (drawing,) = [layer for layer in annotator.viewer.layers if layer not in layers]
    assert list(drawing.features["change"]) == ["remove"] * len(proposed.removed) + ["change"] * len(
        proposed.changed
    ) + ["add"] * len(proposed.added)
    assert drawing.data.any() and not drawing.editable
    panel.show_proposals.click()
    assert list(annotator.viewer.layers) == layers

    panel.show_proposals.click()
    panel.proposals.click()
    assert list(annotator.viewer.layers) == layers
    assert panel.proposals.isHidden() and panel.show_proposals.isHidden()
    after = _masks(dataset, workspace.image.id)
    assert not all(any(np.array_equal(old, new) for new in after) for old in before)
    workspace.layer.layer.undo()
    qtbot.waitUntil(lambda: sorted(map(np.sum, _masks(dataset, workspace.image.id))) == sorted(map(np.sum, before)))

    panel.show_proposals.click()
    workspace.close_dataset()
    assert not any(layer.name == "relabel" for layer in annotator.viewer.layers)
