from __future__ import annotations

import numpy as np
import pytest

from psalm.conditions import CategoryCondition, Task
from psalm.data.scenes import SceneSamples
from psalm.data.words import COLOURS, colour_name
from psalm.errors import AnnotationError

SCENES = SceneSamples(60, seed=3, size=(160, 224))


@pytest.mark.parametrize("index", [0, 2])
def test_a_scene_is_the_same_whenever_it_is_drawn(index: int) -> None:
    first, second = SCENES.labelled(index), SceneSamples(9, seed=3, size=(160, 224)).labelled(index)
    assert (first.image == second.image).all() and first.things == second.things and first.key == second.key
    for other in (SCENES.labelled(index, 1), SceneSamples(9, seed=4, size=(160, 224)).labelled(index)):
        assert other.key != first.key and (other.image != first.image).any()


def test_questions_change_with_the_generator_and_not_the_image() -> None:
    asked = [SCENES.sample(0, np.random.default_rng(seed), Task.INSTANCE) for seed in range(6)]
    assert len({sample.key for sample in asked}) == 1
    assert len({sample.condition for sample in asked}) > 1


@pytest.mark.parametrize("index", range(18))
def test_things_and_masks_agree(index: int) -> None:
    labelled = SCENES.labelled(index)
    masks = labelled.decode(range(len(labelled.things)))
    assert labelled.image.shape == (160, 224, 3) and labelled.image.dtype == np.uint8
    assert len(labelled.things) >= 1
    for thing, mask in zip(labelled.things, masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert thing.box == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        assert thing.area == mask.sum() >= 10
    assert not {thing.name for thing in labelled.things} & set(labelled.absent)


def test_objects_have_the_colours_they_are_said_to_have() -> None:
    right = wrong = 0
    for index in (i for i in range(60) if i % 3 < 2):
        labelled = SCENES.labelled(index)
        masks = labelled.decode(range(len(labelled.things)))
        for thing, mask in zip(labelled.things, masks, strict=True):
            assert thing.colour in COLOURS
            seen = colour_name(labelled.image[mask])
            right += seen == thing.colour
            wrong += seen is not None and seen != thing.colour
    assert right > 5 * wrong and right > 100


def test_coloured_names_lead_to_objects_of_that_colour() -> None:
    seen = 0
    for seed in range(40):
        sample = SCENES.sample(1, np.random.default_rng(seed), Task.INSTANCE)
        assert isinstance(sample.condition, CategoryCondition)
        things = SCENES.labelled(1)
        masks = things.decode(range(len(things.things)))
        for mask, label in zip(sample.masks, sample.labels, strict=True):
            thing = next(t for t, m in zip(things.things, masks, strict=True) if (m == mask).all())
            first_word = sample.condition.names[label].split()[0]
            if first_word in COLOURS:
                assert first_word == thing.colour
                seen += 1
    assert seen


def test_a_nucleus_lies_inside_its_cell() -> None:
    checked = 0
    for index in range(2, 60, 3):
        labelled = SCENES.labelled(index)
        names = [thing.name for thing in labelled.things]
        if {"cell", "nucleus"} <= set(names):
            masks = labelled.decode(range(len(names)))
            cells = masks[[name == "cell" for name in names]]
            for mask in masks[[name == "nucleus" for name in names]]:
                assert (cells & mask).sum(axis=(1, 2)).max() == mask.sum()
                checked += 1
    assert checked


def test_a_field_calls_no_lookalike_absent() -> None:
    for index in range(2, 60, 3):
        labelled = SCENES.labelled(index)
        if labelled.things[0].name == "nucleus":
            assert "cell" not in labelled.absent and {"bacterium", "red blood cell"} <= set(labelled.absent)


def test_wrong_sizes_and_positions_are_refused() -> None:
    with pytest.raises(AnnotationError):
        SceneSamples(0)
    with pytest.raises(AnnotationError):
        SceneSamples(1, size=(32, 32))
    with pytest.raises(IndexError):
        SCENES.labelled(60)


def test_a_field_can_be_asked_for_by_name() -> None:
    samples = SceneSamples(3, seed=1, field="coin")
    assert samples.sources == ["coin"] * 3
    assert {thing.name for index in range(3) for thing in samples.labelled(index).things} == {"coin"}
    assert samples.labelled(0).key != SceneSamples(3, seed=1).labelled(0).key


def test_a_list_of_sentences_means_one_object_each() -> None:
    samples = SceneSamples(12, seed=1, sentence_lists=1.0)
    listed = [samples.sample(index, np.random.default_rng(index), Task.INSTANCE) for index in range(12)]
    sentences = [sample for sample in listed if any(name.startswith("the ") for name in sample.condition.names)]
    assert len(sentences) > 6
    for sample in sentences:
        assert sample.labels.tolist() == list(range(len(sample.condition)))
        assert len({mask.tobytes() for mask in sample.masks}) == len(sample.masks)
