"""Conversations, DAVIS, and every data set by its name: in a folder, in the check, and in a training config."""

from __future__ import annotations

import json

import numpy as np
import pytest

from psalm.conditions import Task
from psalm.data.check import check_data
from psalm.data.conversations import Conversations, Turn
from psalm.data.datasets import CONVERSATIONS, DATASETS, open_dataset
from psalm.data.davis import Davis
from psalm.data.interactive import write_interactive
from psalm.data.mixture import Mixture
from psalm.errors import AnnotationError
from tests.psalm.data.published_layouts import (
    CAT,
    DOG,
    make_ade20k,
    make_cityscapes,
    make_coco,
    make_context,
    make_davis,
    make_grefcoco,
    make_llava,
    make_lvis,
    make_refer,
    make_voc,
)

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Every data set under its usual name."""
    folder = tmp_path_factory.mktemp("datasets")
    make_coco(folder / "coco")
    instances = folder / "coco/annotations/instances_val2017.json"
    write_interactive(instances, folder / "coco/coco_interactive_val_psalm.json")
    for name in ("refcoco", "refcoco+", "refcocog"):
        make_refer(folder / "refseg", name)
    make_grefcoco(folder / "refseg")
    make_lvis(folder / "lvis")
    make_ade20k(folder / "ADEChallengeData2016")
    make_cityscapes(folder / "cityscapes")
    make_voc(folder / "VOCdevkit/VOC2012")
    make_context(folder / "VOCdevkit/VOC2010")
    make_davis(folder / "DAVIS/2017/trainval")
    make_llava(folder / "llava")
    return folder


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_opens_by_name_and_can_be_trained_on(everything, name):
    reader = open_dataset(name, everything, "val")
    mixture = Mixture([(reader, 1.0)])
    for step in range(3):
        sample = mixture.sample(step)
        assert sample.image.shape == (60, 80, 3) and sample.masks.shape[1:] == (60, 80)
        assert len(sample.labels) == len(sample.masks) and sample.source and len(sample.key) == 32
        assert sample.labels.max(initial=-1) < len(sample.condition)
        again = mixture.sample(step)
        assert (again.masks == sample.masks).all() and again.labels.tolist() == sample.labels.tolist()


def test_every_data_set_can_be_named_in_a_training_config(everything):
    from typing import get_args, get_type_hints

    from psalm.training.config import DataConfig
    from psalm.training.sources import open_mixtures, open_samples

    kinds = set(get_args(get_type_hints(DataConfig)["kind"]))
    assert kinds == {"coco", "scenes", "conversations", *DATASETS}
    entry = {"folder": str(everything), "split": "val"}
    assert len(open_samples(DataConfig("refcoco+", options=entry))) == 1
    data = [DataConfig("coco-panoptic", tasks=(Task.PANOPTIC,), options=entry), DataConfig("davis", options=entry)]
    assert open_mixtures(data, [Task.PANOPTIC], 0.5)[Task.PANOPTIC].sample(0, task=None).task in Task


def test_check_finds_everything(everything):
    seen = []
    findings = check_data(everything, progress=lambda *p: seen.append(p))
    complete = {(each.name, each.split) for each in findings if each.complete}
    assert {(name, "val") for name in DATASETS} <= complete and ("llava-stage-2", "train") in complete
    counts = {each.name: each.count for each in findings if each.split == "val"}
    assert counts["coco-instances"] == 3 and counts["grefcoco"] == 3 and counts["davis"] == 5
    assert all(not each.missing for each in findings if each.split == "val") and seen[-1][0] == seen[-1][1]
    problems = {(each.name, each.split): each.problem for each in findings if each.problem}
    assert "no split 'train'" in problems["grefcoco", "train"]


def test_check_of_one_data_sets_own_folder(tmp_path):
    make_davis(tmp_path)
    assert [(each.name, each.split, each.complete) for each in check_data(tmp_path)] == [("davis", "val", True)]


def test_check_names_what_is_missing_and_where_to_get_it(tmp_path):
    make_coco(tmp_path / "coco")
    (tmp_path / "coco/annotations/panoptic_val2017.json").unlink()
    (tmp_path / "coco/val2017/000000000002.jpg").unlink()
    findings = {(each.name, each.split): each for each in check_data(tmp_path)}
    assert set(findings) == {("coco-instances", "val")}
    assert findings["coco-instances", "val"].lost_images == 1 and not findings["coco-instances", "val"].complete
    (asked,) = (each for each in check_data(tmp_path, ("coco-panoptic",)) if each.split == "val")
    assert asked.missing == (
        "annotations/panoptic_val2017.json (panoptic annotations): get it from the COCO website, Download, 2017",
    )
    (tmp_path / "coco/annotations/instances_val2017.json").write_text('{"images": []}')
    assert "KeyError" in check_data(tmp_path)[0].problem
    with pytest.raises(AnnotationError, match="no data set 'imagenet'"):
        check_data(tmp_path, ("imagenet",))


def test_unknown_splits_are_named(everything):
    with pytest.raises(AnnotationError, match="davis has no split 'test': choose one of train, val"):
        open_dataset("davis", everything, "test")


def test_conversations(tmp_path):
    reader = Conversations(make_llava(tmp_path))
    assert len(reader) == 1 and reader.without_image == 1 and reader.sources == ["coco/train2017"]
    found = reader.conversation(0)
    assert found.image.shape == (60, 80, 3) and found.turns[0] == Turn("user", "<image>\nWhat is this?")
    assert [turn.speaker for turn in found.turns] == ["user", "model"] * 2
    assert set(CONVERSATIONS) == {"llava-stage-1", "llava-stage-2"}


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([], "no question with an answer"),
        ([("human", "a"), ("human", "b"), ("gpt", "c")], "does not alternate"),
        ([("human", "<image> <image>"), ("gpt", "c")], "names the image 2 times"),
        ([("system", "a"), ("gpt", "c")], "does not alternate"),
    ],
)
def test_wrong_conversations_are_named(tmp_path, turns, message):
    said = [{"from": speaker, "value": text} for speaker, text in turns]
    (tmp_path / "c.json").write_text(json.dumps([{"image": "a.jpg", "conversations": said}]))
    with pytest.raises(AnnotationError, match=message):
        Conversations(tmp_path, "c.json")


def test_conversations_begin_with_a_question_about_the_image_and_end_with_an_answer(tmp_path):
    said = [("gpt", "Hi"), ("human", "What?"), ("gpt", "A cat."), ("human", "Sure?")]
    entry = {"image": "a.jpg", "conversations": [{"from": speaker, "value": text} for speaker, text in said]}
    (tmp_path / "c.json").write_text(json.dumps([entry]))
    make_llava(tmp_path)
    (tmp_path / "coco/train2017/000000000001.jpg").rename(tmp_path / "a.jpg")
    turns = Conversations(tmp_path, "c.json").conversation(0).turns
    assert turns == (Turn("user", "<image>\nWhat?"), Turn("model", "A cat."))
    (tmp_path / "c.json").write_text(json.dumps([{"conversations": []}]))
    with pytest.raises(AnnotationError, match="no conversation with an image"):
        Conversations(tmp_path, "c.json")


def test_davis(tmp_path):
    reader = Davis(make_davis(tmp_path), "val")
    assert reader.videos == ("walk",) and reader.num_frames("walk") == 5 and len(reader) == 5
    assert reader.frame("walk", 3)[0, 0, 0] == 13
    assert (reader.labels("walk", 2) == np.roll(CAT, 2, 1) * 1 + DOG * 2).all()
    sample = reader.sample(1, RNG)
    assert sample.task is Task.INTERACTIVE and (sample.masks == np.stack([np.roll(CAT, 1, 1), DOG])).all()
    with pytest.raises(AnnotationError, match="only serves the task interactive"):
        reader.sample(0, RNG, Task.INSTANCE)
    (tmp_path / "JPEGImages/480p/walk").rename(tmp_path / "JPEGImages/480p/run")
    with pytest.raises(AnnotationError, match="no frame of the video walk"):
        Davis(tmp_path, "val")
