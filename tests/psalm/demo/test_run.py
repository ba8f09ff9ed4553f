from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from psalm.demo.images import sample_path
from psalm.demo.questions import QUESTIONS
from psalm.demo.run import run_demo
from psalm.errors import ImageError, OutputError


def test_writes_annotations_pictures_and_the_page(tmp_path, fake_predictor):
    seen = []
    page = run_demo(tmp_path, fake_predictor, QUESTIONS[:2], lambda *state: seen.append(state))
    coco = COCO(tmp_path / "coco.json")
    images = coco.loadImgs(coco.getImgIds())
    assert [image["file_name"] for image in images] == ["coins.png", "cell.png"]
    for image in images:
        with Image.open(tmp_path / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    assert len(coco.getAnnIds()) == sum(len(question.classes) + 2 for question in QUESTIONS[:2])
    assert len(list((tmp_path / "overlays").iterdir())) == 6
    text = page.read_text(encoding="utf-8")
    assert text.count('<img src="data:image/jpeg;base64,') == 8
    assert "the coin at the bottom right" in text and "0.90" in text and "http" not in text
    assert seen[0] == (0, 2, QUESTIONS[0].title) and seen[-1] == (2, 2, "")
    assert len(fake_predictor.images) == 2


def test_a_second_demo_replaces_the_first(tmp_path, fake_predictor):
    run_demo(tmp_path, fake_predictor, QUESTIONS[:2])
    run_demo(tmp_path, fake_predictor, QUESTIONS[:1])
    assert len(COCO(tmp_path / "coco.json").getImgIds()) == 1


def test_an_interrupted_demo_can_be_run_again(tmp_path, fake_predictor):
    def interrupt(done, total, title):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path, fake_predictor, QUESTIONS[:2], interrupt)
    assert run_demo(tmp_path, fake_predictor, QUESTIONS[:1]).is_file()


def test_a_folder_of_other_things_is_left_alone(tmp_path, fake_predictor):
    (tmp_path / "coco.json").write_text("mine")
    with pytest.raises(OutputError, match="no demo made"):
        run_demo(tmp_path, fake_predictor)
    assert [path.name for path in tmp_path.iterdir()] == ["coco.json"]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.image)
def test_every_question_fits_its_image(question):
    with Image.open(sample_path(question.image)) as image:
        size = np.array([image.height, image.width])
    assert (np.array(question.click) >= 0).all() and (np.array(question.click) < size).all()
    assert question.classes and question.sentence and question.title


def test_an_image_that_is_not_in_the_wheel():
    with pytest.raises(ImageError, match="ships no image 'kidney'"):
        sample_path("kidney")
