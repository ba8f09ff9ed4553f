from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.object_facts import FoundObject
from napari_psalm.core.proposals import Proposals, read_proposals
from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError
from psalm.store import ImageState, StoredImage

IMAGE = StoredImage(7, "a.png", 0, 12, 16, "", ImageState.PREDICTED)
LABEL_OF = {11: 1, 12: 2}


def _mask(row: int, column: int, side: int = 3) -> Any:
    mask = np.zeros((12, 16), dtype=bool)
    mask[row : row + side, column : column + side] = True
    return mask


@pytest.fixture
def layer() -> AnnotationLayer:
    data = np.zeros((12, 16), dtype=np.uint16)
    data[_mask(0, 0)], data[_mask(0, 6)] = 1, 2
    return AnnotationLayer(Labels(data), {i: FoundObject("cell", 0.6, "cell", "instance") for i in (1, 2)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The first object goes, the second one grows, a third one comes; a fourth would lie on the second."""
    entry = {
        "image_id": 7,
        "applied": False,
        "prompts": [{"kind": "categories", "names": ["cell"]}],
        "removed": [{"object_id": 11, "category": "cell", "score": 0.6}],
        "changed": [
            {"object_id": 12, "category": "cell", "score": 0.8, "rle": encode_mask(_mask(0, 6, 4)), "prompt": 0}
        ],
        "added": [{"category": "dust", "score": 0.7, "rle": encode_mask(_mask(7, 10)), "prompt": 0}],
    }
    content = {"format": "psalm-relabel", "version": 1, "model": "new", "weights": "ff", "images": [entry]}
    (tmp_path / "relabel.json").write_text(json.dumps(content))
    return tmp_path


def _open(folder: Path, layer: AnnotationLayer) -> Proposals:
    proposals = read_proposals(folder, IMAGE)
    assert proposals is not None
    return proposals.still_open(layer, LABEL_OF)


def test_accepting_is_one_undo(folder: Path, layer: AnnotationLayer) -> None:
    before = layer.layer.data.copy()
    proposals = _open(folder, layer)
    assert proposals.words == "1 to add, 1 to remove, 1 to change"
    proposals.accept(layer, LABEL_OF)
    found = {(layer.facts(i).category, layer.index.area(i), layer.facts(i).how["model"]) for i in layer.ids}
    assert found == {("cell", 16, "new"), ("dust", 9, "new")}
    layer.layer.undo()
    np.testing.assert_array_equal(layer.layer.data, before)
    assert layer.ids == [1, 2]


def test_what_was_accepted_or_touched_is_not_proposed_again(folder: Path, layer: AnnotationLayer) -> None:
    layer.layer.data_setitem((np.array([5]), np.array([0])), 1)
    assert _open(folder, layer).words == "1 to add, 1 to change"
    _open(folder, layer).accept(layer, LABEL_OF)
    assert _open(folder, layer).words == ""


def test_other_images_and_folders_have_none(folder: Path, tmp_path: Path) -> None:
    other = StoredImage(8, "b.png", 0, 12, 16, "", ImageState.PREDICTED)
    assert read_proposals(folder, other) is None
    assert read_proposals(tmp_path / "nowhere", IMAGE) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "psalm-relabel", "version": 2, "images": []}'])
def test_a_damaged_file_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "relabel.json").write_text(text)
    with pytest.raises(AnnotationError, match="run psalm relabel again"):
        read_proposals(tmp_path, IMAGE)
