from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition
from psalm.errors import ConditionError
from psalm.prelabel import ExemplarFile, prelabel
from psalm.prelabel.exemplar_files import exemplar_prompt, mark, read_exemplar
from psalm.store import AnnotationStore


@pytest.fixture
def files(folder, tmp_path):
    """An image of the folder, and a mask with two objects on it."""
    mask = np.zeros((20, 40), dtype=np.uint8)
    mask[2:5, 3:9], mask[10:12, 20:22] = 1, 7
    Image.fromarray(mask).save(tmp_path / "spore.png")
    return folder / "image-000.png", tmp_path / "spore.png"


def test_the_words_of_the_command_line(files):
    image, mask = files
    assert read_exemplar(f"{image}:{mask}") == ExemplarFile(image, mask, "spore")
    assert read_exemplar(f"{image}:{mask}=yeast cell").name == "yeast cell"
    for wrong in (f"{image}", f"{image}:missing.png", f"missing.png:{mask}"):
        with pytest.raises(ConditionError, match="IMAGE:MASK"):
            read_exemplar(wrong)


def test_every_value_of_a_mask_is_an_object(files, folder):
    (record,) = exemplar_prompt([ExemplarFile(*files, "spore")], folder)["exemplars"]
    assert (record["name"], record["image"], len(record["masks"])) == ("spore", "image-000.png", 2)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((20, 40), np.uint8), "marks no pixel"),
        (np.ones((5, 6), np.uint8), "5 x 6 pixels, its image 20 x 40"),
        (np.ones((20, 40, 3), np.uint8), "colour image"),
    ],
)
def test_masks_that_mark_nothing(files, folder, mask, message):
    Image.fromarray(mask).save(files[1])
    with pytest.raises(ConditionError, match=message):
        exemplar_prompt([ExemplarFile(*files, "spore")], folder)


def test_their_like_is_looked_for_in_every_image(files, folder, tmp_path, predictor, monkeypatch):
    marked, asked = [], []

    def remember(predictor, image, masks, name):
        marked.append((image.shape, masks.sum(), name))
        return SimpleNamespace(name=name)

    def find(predictor, encoded, exemplars, least):
        asked.append(([each.name for each in exemplars], least))
        masks = np.zeros((1, *encoded.frame.original), dtype=bool)
        masks[0, :3] = True
        return Annotations(masks, np.ones(1), np.full(1, 0.7), (Category(1, exemplars[0].name),))

    monkeypatch.setattr("psalm.exemplars.mark_exemplars", remember)
    monkeypatch.setattr("psalm.exemplars.find_alike", find)
    predictor.encode_prepared = lambda image: None
    report = prelabel(
        folder,
        tmp_path / "out",
        [CategoryCondition(["cell"])],
        predictor,
        exemplars=[ExemplarFile(*files, "spore")],
        score_threshold=0.4,
    )
    assert report.images == 7
    assert marked == [((20, 40), 22, "spore")]  # once for all images
    assert asked == [(["spore"], 0.4)] * 7
    with AnnotationStore.open(tmp_path / "out") as store:
        *_, last = store.objects(store.find_image("image-003.png").id)
        assert store.category(last.category_id).name == "spore" and last.score == pytest.approx(0.7)
        assert last.provenance.prompt["kind"] == "exemplar"


def test_an_image_that_changed_since_it_was_marked_is_refused(files, folder, predictor):
    prompt = exemplar_prompt([ExemplarFile(*files, "spore")], folder)
    files[0].write_bytes((folder / "deep" / "image-005.png").read_bytes())
    with pytest.raises(ConditionError, match="has changed since it was marked"):
        mark(prompt, folder, predictor)
