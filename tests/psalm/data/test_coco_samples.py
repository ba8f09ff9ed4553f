from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from psalm.conditions import CategoryCondition, SentenceCondition, Task
from psalm.data.coco_samples import CocoSamples
from psalm.data.words import ALIASES, plural
from psalm.errors import AnnotationError


@pytest.fixture
def samples(coco_folder: Path) -> CocoSamples:
    return CocoSamples(coco_folder / "annotations.json", coco_folder / "images", refs=coco_folder / "refs.json")


def _singular(name: str) -> str:
    """The category that a listed name stands for."""
    for category in ("cat", "glass bottle", "sky", "nucleus", "bottle", "kayak", "bacterium"):
        if name in {form for word in (category, *ALIASES.get(category, ())) for form in (word, plural(word))}:
            return category
    raise AssertionError(name)


def test_the_split_and_the_sources(samples: CocoSamples, coco_folder: Path) -> None:
    assert len(samples) == 3
    assert samples.sources == ["pets", "pets", "lab"]
    assert len(CocoSamples(coco_folder / "annotations.json", coco_folder / "images", split=None)) == 4
    with pytest.raises(AnnotationError, match="split"):
        CocoSamples(coco_folder / "annotations.json", coco_folder / "images", split="test")


def test_only_images_that_sentences_speak_of(coco_folder: Path) -> None:
    def opened(refs: str | None) -> CocoSamples:
        path = None if refs is None else coco_folder / refs
        return CocoSamples(coco_folder / "annotations.json", coco_folder / "images", refs=path, only_referred=True)

    spoken_of = {ref["image_id"] for ref in json.loads((coco_folder / "refs.json").read_text())}
    assert set(opened("refs.json").image_ids) == spoken_of and len(spoken_of) < 3
    with pytest.raises(AnnotationError, match="speaks of"):
        opened(None)


def test_only_images_of_some_sources(coco_folder: Path) -> None:
    def opened(*sources: str) -> CocoSamples:
        return CocoSamples(coco_folder / "annotations.json", coco_folder / "images", only_sources=sources)

    assert opened("lab").sources == ["lab"] and len(opened("lab", "pets")) == 3
    with pytest.raises(AnnotationError, match="sources nowhere"):
        opened("nowhere")


def test_copies_stand_in_the_list_beside_their_image(samples: CocoSamples, coco_folder: Path) -> None:
    copied = CocoSamples(coco_folder / "annotations.json", coco_folder / "images", copies=3)
    assert copied.sources == [source for source in samples.sources for _ in range(3)]
    assert len({copied.labelled(index).key for index in range(len(copied))}) > 2 * len(samples)
    for index in range(len(samples)):
        found = [copied.labelled(3 * index + copy) for copy in range(3)]
        expected = [samples.labelled(index, variant) for variant in range(3)]
        assert [one.key for one in found] == [one.key for one in expected]


def test_a_file_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="cannot be read"):
        CocoSamples(tmp_path / "none.json", tmp_path)


@pytest.mark.parametrize("variant", [0, 3])
def test_a_sample_is_fixed_by_its_arguments(samples: CocoSamples, variant: int) -> None:
    for task in Task:
        first, second = (samples.sample(0, np.random.default_rng(7), task, variant) for _ in range(2))
        assert first.key == second.key and (first.image == second.image).all()
        assert (first.masks == second.masks).all() and (first.labels == second.labels).all()
        assert str(first.condition) == str(second.condition)


def test_equal_keys_have_equal_images_whatever_is_asked(samples: CocoSamples) -> None:
    copies = {}
    for variant in range(8):
        asked = [samples.sample(0, np.random.default_rng(i), variant=variant) for i in range(4)]
        assert len({sample.key for sample in asked}) == 1
        assert all((sample.image == asked[0].image).all() for sample in asked)
        assert (samples.image(0, variant)[0] == asked[0].image).all()
        copies[asked[0].key] = asked[0].image.tobytes()
    assert len(copies) == len(set(copies.values())) > 5


def test_labels_say_which_name_each_mask_answers(samples: CocoSamples) -> None:
    whole = {(10, 30): "cat", (80, 120): "cat", (0, 120): "sky"}
    for seed in range(60):
        sample = samples.sample(0, np.random.default_rng(seed), Task.INSTANCE)
        assert isinstance(sample.condition, CategoryCondition)
        listed = [_singular(name) for name in sample.condition.names]
        for mask, label in zip(sample.masks, sample.labels, strict=True):
            columns = np.flatnonzero(mask.any(axis=0))
            assert listed[label] == whole[columns[0], columns[-1] + 1]
        assert len(sample.masks) == 2 * ("cat" in listed) + ("sky" in listed)
        assert sample.exhaustive or set(listed) & set(samples.labelled(0).unchecked)
        assert all(thing == (name != "sky") for name, thing in zip(listed, sample.condition.is_thing, strict=True))


def test_absent_names_are_listed_only_where_their_absence_is_known(samples: CocoSamples) -> None:
    asked_of_exhaustive, asked_of_other = set(), set()
    for seed in range(80):
        first, second = (samples.sample(i, np.random.default_rng(seed), Task.INSTANCE) for i in (0, 1))
        if first.exhaustive:
            asked_of_exhaustive |= {_singular(name) for name in first.condition.names}
        asked_of_other |= {_singular(name) for name in second.condition.names}
        assert not second.exhaustive
    assert asked_of_exhaustive >= {"cat", "sky", "nucleus"}
    assert not asked_of_exhaustive & set(samples.labelled(0).unchecked)
    # Nothing follows from what is absent there, but its cats are certainly no bottles.
    assert asked_of_other > {"cat"}


def test_names_that_share_a_word_with_one_that_is_there_are_no_negatives(coco_folder: Path) -> None:
    samples = CocoSamples(coco_folder / "annotations.json", coco_folder / "images", split="val")
    assert "cat" in samples.labelled(0).absent
    assert not {"bottle", "glass bottle"} & set(samples.labelled(0).absent)


def test_other_names_of_the_same_source_are_rivals(samples: CocoSamples) -> None:
    labelled = samples.labelled(0)
    assert set(labelled.rivals) == {"bottle", "glass bottle"} < set(labelled.absent)
    assert samples.labelled(2).rivals == ()
    lists = [samples.sample(0, np.random.default_rng(seed), Task.INSTANCE).condition for seed in range(40)]
    asked = [{_singular(name) for name in names.names} for names in lists if isinstance(names, CategoryCondition)]
    # With names of all sources the list is long enough for every one of them.
    assert 8 < sum("glass bottle" in names and not {"nucleus", "bacterium"} & names for names in asked) < 32


def test_many_objects_are_capped_and_then_not_exhaustive(samples: CocoSamples) -> None:
    found = [samples.sample(2, np.random.default_rng(seed), Task.PANOPTIC) for seed in range(5)]
    assert all(len(sample.masks) == 100 and not sample.exhaustive for sample in found)


def test_some_visual_priors_say_what_is_not_meant(samples: CocoSamples) -> None:
    found = [samples.sample(2, np.random.default_rng(seed), Task.INTERACTIVE) for seed in range(12)]
    told = [sample for sample in found if getattr(sample.condition, "excluded", None) is not None]
    assert 0 < len(told) < len(found)
    for sample in told:
        assert not (sample.condition.excluded & sample.masks.any(axis=0)).any()


def test_variants_keep_masks_on_their_objects(samples: CocoSamples) -> None:
    """The image is noise, so the pixels under a mask name the object wherever a window or flip has put it."""
    for variant in range(1, 12):
        labelled = samples.labelled(0, variant)
        assert labelled.things
        masks = labelled.decode(range(len(labelled.things)))
        assert masks.shape == (len(labelled.things), *labelled.image.shape[:2])
        for thing, mask in zip(labelled.things, masks, strict=True):
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            assert thing.box == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
            assert thing.area == mask.sum()


def test_flips_move_image_and_masks_alike() -> None:
    from psalm.data.augmentation import Augmentation

    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    masks = np.zeros((1, 20, 30), dtype=bool)
    masks[0, 5:9, 12:20] = True
    copy = Augmentation((2, 4, 18, 28), flip_rows=True, flip_columns=True)
    expected = image[masks[0]][::-1]
    assert (copy.image(image)[copy.masks(masks)[0]] == expected).all()
    assert copy.box((5, 12, 9, 20)) == (9, 8, 13, 16)
    assert (Augmentation((0, 0, 20, 30), invert=True).image(image) == 255 - image).all()


def test_sentences_of_the_file_are_used_and_only_for_the_image_itself(samples: CocoSamples) -> None:
    texts = set()
    for seed in range(20):
        sample = samples.sample(1, np.random.default_rng(seed), Task.REFERRING)
        assert isinstance(sample.condition, SentenceCondition)
        assert sample.masks.shape[0] == 1 and sample.masks[0, 20:60, 20:60].all()
        texts.add(sample.condition.text)
        assert samples.sample(1, np.random.default_rng(seed), Task.REFERRING, 1).condition != sample.condition
    assert texts == {"the cat on the sofa"}


def test_an_image_of_another_size_than_its_record_is_refused(coco_folder: Path) -> None:
    from PIL import Image

    Image.new("RGB", (10, 10)).save(coco_folder / "images" / "pets_1.png")
    samples = CocoSamples(coco_folder / "annotations.json", coco_folder / "images")
    with pytest.raises(AnnotationError, match="annotations say"):
        samples.sample(0, np.random.default_rng(0))


def test_few_images_of_each_source_can_be_asked_for(samples: CocoSamples, coco_folder: Path) -> None:
    thinned = CocoSamples(coco_folder / "annotations.json", coco_folder / "images", per_source=1)
    assert sorted(thinned.sources) == sorted(set(samples.sources))


def test_a_file_name_that_leaves_the_folder_is_refused(coco_folder: Path) -> None:
    content = json.loads((coco_folder / "annotations.json").read_text())
    content["images"][0]["file_name"] = "../secret.png"
    (coco_folder / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match="inside the images' folder"):
        CocoSamples(coco_folder / "annotations.json", coco_folder / "images", split=None)
