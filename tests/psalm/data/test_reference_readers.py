"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO, from folders laid out as published."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from psalm.conditions import Task
from psalm.data.grefcoco import GRefCoco
from psalm.data.refcoco import RefCoco
from psalm.errors import AnnotationError
from tests.psalm.data.published_layouts import CAT, DOG, make_grefcoco, make_refer

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", ["refcoco", "refcoco+", "refcocog"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_refcoco(tmp_path, name, protocol):
    reader = RefCoco(make_refer(tmp_path, name, protocol), name, "train")
    assert len(reader) == 2 and reader.sources == [name, name]
    sample = reader.sample(0, RNG)
    assert sample.task is Task.REFERRING and (sample.masks == CAT[None]).all() and sample.labels.tolist() == [0]
    assert sample.condition.text == "the left cat. cat." and sample.image[0, 0, 0] == 1
    assert RefCoco(tmp_path, name, "val").references[0].sentences == ("the dog",)


def test_sentences_one_by_one(tmp_path):
    reader = RefCoco(make_refer(tmp_path), split="train", sentences="each")
    said = {reader.sample(0, np.random.default_rng(seed)).condition.text for seed in range(20)}
    assert said == {"the left cat", "cat."}


def test_the_joined_prompt_is_that_of_the_published_code(tmp_path):
    """The published code writes a blank, the sentence and a full stop for each; psalm adds the blank and the last."""
    from psalm.config import PSALMConfig
    from psalm.prompts import PromptBuilder

    class Letters:
        def get_vocab(self):
            return {"[SEG]": 999}

        def encode(self, text, add_special_tokens):
            return [ord(letter) for letter in text]

    reference = RefCoco(make_refer(tmp_path), split="train")
    condition = reference.sample(0, RNG).condition
    prompt = PromptBuilder(Letters(), PSALMConfig.small()).build(Task.REFERRING, condition)
    start, stop = prompt.spans[0]
    assert "".join(map(chr, prompt.token_ids[start : stop - 1])) == " the left cat. cat."


def test_grefcoco(tmp_path):
    reader = GRefCoco(make_grefcoco(tmp_path), "val")
    samples = [reader.sample(index, RNG) for index in range(len(reader))]
    assert [len(sample.masks) for sample in samples] == [1, 2, 0]
    assert {sample.task for sample in samples} == {Task.GENERALISED_REFERRING}
    assert (samples[1].masks == np.stack([CAT, DOG])).all() and samples[1].condition.text == "both animals. the pets."
    assert samples[2].masks.shape == (0, 60, 80) and all(sample.exhaustive for sample in samples)
    assert len(GRefCoco(tmp_path, "testA")) == 1


def test_a_pickle_with_a_program_is_refused(tmp_path):
    make_refer(tmp_path)

    class Program:
        def __reduce__(self):
            return os.system, ("touch ran",)

    (tmp_path / "refcoco/refs(unc).p").write_bytes(pickle.dumps([Program()]))
    with pytest.raises(AnnotationError, match="plain data"):
        RefCoco(tmp_path)


def test_what_is_wrong_is_named(tmp_path):
    make_refer(tmp_path)
    with pytest.raises(AnnotationError, match=r"refcocog/refs\(umd\).p .*REFER data set"):
        RefCoco(tmp_path, "refcocog")
    with pytest.raises(AnnotationError, match="no split 'testA': it knows train, val"):
        RefCoco(tmp_path, split="testA")
    with pytest.raises(AnnotationError, match="choose one of refcoco"):
        RefCoco(tmp_path, "refclef")
    with pytest.raises(AnnotationError, match="choose joined or each"):
        RefCoco(tmp_path, sentences="all")
    with pytest.raises(AnnotationError, match="gRefCOCO repository"):
        GRefCoco(tmp_path)
    with pytest.raises(AnnotationError, match="only serves the task referring"):
        RefCoco(tmp_path).sample(0, RNG, Task.INSTANCE)
    (tmp_path / "images/mscoco/images/train2014").rename(tmp_path / "elsewhere")
    with pytest.raises(AnnotationError, match="train2014 are at none of"):
        RefCoco(tmp_path)
    assert len(RefCoco(tmp_path, photographs=tmp_path / "elsewhere")) == 2
    (tmp_path / "refcoco/instances.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(AnnotationError, match=r"objects \[11, 12\] and images \[1\]"):
        RefCoco(tmp_path, photographs=tmp_path / "elsewhere")
    (tmp_path / "refcoco/refs(unc).p").write_bytes(pickle.dumps([{"ann_id": 1}]))
    with pytest.raises(AnnotationError, match="no image_id, split, sentences"):
        RefCoco(tmp_path)
