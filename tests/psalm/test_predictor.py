"""The predictor: encode once, ask many; clear errors; the same answers alone and in a batch."""

from __future__ import annotations

import copy
import dataclasses
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from psalm.conditions import CategoryCondition, SentenceCondition, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds
from psalm.errors import ConditionError, ImageError, UnknownNameWarning
from psalm.modeling.psalm import PSALM
from psalm.predictor import PSALMPredictor, best_device
from psalm.prompts import sequence_length
from tests.psalm.modeling.builders import two_way_config

SHAPE = (40, 60)
SEG = 390


class Letters:
    """A tokenizer with one token per letter."""

    def get_vocab(self) -> dict[str, int]:
        return {"[SEG]": SEG}

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        pieces = text.split("[SEG]")
        ids = [ord(letter) for letter in pieces[0]]
        for piece in pieces[1:]:
            ids += [SEG, *(ord(letter) for letter in piece)]
        return ids


@pytest.fixture(scope="module")
def predictor() -> PSALMPredictor:
    torch.manual_seed(0)
    return PSALMPredictor(PSALM(PSALMConfig.small()), Letters(), {"maker": "test"})  # type: ignore[arg-type]


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)


def regions(count: int = 2, shape: tuple[int, int] = SHAPE) -> VisualPriorCondition:
    return VisualPriorCondition.from_points([[20, 10 + 15 * i] for i in range(count)], shape, 4)


CONDITIONS = [
    (CategoryCondition(["cell", "coin"]), "instance"),
    (CategoryCondition(["cell", "coin"], [True, False]), "panoptic"),
    (CategoryCondition(["cell", "coin"]), "semantic"),
    (SentenceCondition("the cell on the left"), "referring"),
    (SentenceCondition("all the cells"), "generalised-referring"),
    (regions(), "interactive"),
]


@pytest.mark.parametrize(("condition", "task"), CONDITIONS, ids=[task for _, task in CONDITIONS])
def test_every_task_answers_at_the_original_size(predictor, image, condition, task):
    predictor.set_image(image)
    found = predictor.predict(condition, task, thresholds=Thresholds(score=0.0, panoptic_score=0.0))
    assert found.size == SHAPE
    again = predictor.predict(condition, task, thresholds=Thresholds(score=0.0, panoptic_score=0.0))
    assert np.array_equal(found.masks, again.masks) and np.array_equal(found.scores, again.scores)


def test_an_image_is_encoded_once(predictor, image, monkeypatch):
    predictor = PSALMPredictor(predictor.model, Letters())  # type: ignore[arg-type]
    calls: list[int] = []
    encode = predictor.model.encode_image
    monkeypatch.setattr(predictor.model, "encode_image", lambda images: calls.append(len(images)) or encode(images))
    predictor.set_image(image)
    for condition, task in CONDITIONS:
        predictor.predict(condition, task)
    assert calls == [1]


def test_an_image_that_comes_back_or_was_prefetched_is_not_encoded_again(predictor, image, monkeypatch):
    predictor = PSALMPredictor(predictor.model, Letters())  # type: ignore[arg-type]
    calls: list[int] = []
    encode, read = predictor.model.encode_image, predictor.model.read_prefix
    monkeypatch.setattr(predictor.model, "encode_image", lambda images: calls.append(len(images)) or encode(images))
    predictor.set_image(image)
    first = predictor.predict(regions())
    reads: list[int] = []
    monkeypatch.setattr(predictor.model, "read_prefix", lambda *given: reads.append(1) or read(*given))
    thread = threading.Thread(target=predictor.prefetch, args=(image[::-1],))
    thread.start()
    thread.join()
    assert calls == [1, 1] and reads == [1]
    predictor.set_image(image[::-1])
    predictor.predict(regions())
    predictor.set_image(image)
    again = predictor.predict(regions())
    assert calls == [1, 1] and reads == [1]
    assert np.array_equal(first.masks, again.masks) and np.array_equal(first.scores, again.scores)


def test_no_answer_comes_from_weights_that_have_changed(image):
    torch.manual_seed(0)
    model = PSALM(PSALMConfig.small())
    predictor = PSALMPredictor(model, Letters())  # type: ignore[arg-type]
    predictor.set_image(image)
    before = predictor.predict_proposals(regions())
    with torch.no_grad():
        for part in (model.backbone.norms[0].bias, model.language_model.model.embed_tokens.weight):
            part.add_(0.5)
    predictor.set_image(image)
    after = predictor.predict_proposals(regions())
    expected = PSALMPredictor(model, Letters())  # type: ignore[arg-type]
    expected.set_image(image)
    assert not torch.allclose(before.mask_logits, after.mask_logits)
    torch.testing.assert_close(after.mask_logits, expected.predict_proposals(regions()).mask_logits, rtol=0, atol=1e-5)


def test_words_before_the_image_are_read_once_and_change_nothing(predictor, image):
    predictor.set_image(image)
    kept = predictor.predict_proposals(regions())
    features = predictor.model.encode_image(predictor._transform.image(image)[None])
    prompt = predictor._prompts.build("interactive", regions())
    with torch.no_grad():
        prior = predictor._regions([regions()], [predictor._transform.frame(SHAPE)])
        whole = predictor.model.propose(features, [prompt], prior)[-1]
    torch.testing.assert_close(kept.mask_logits, whole.mask_logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(kept.condition_logits, whole.condition_logits, rtol=0, atol=1e-4)


def test_a_class_list_too_long_to_be_read_is_asked_in_parts(image):
    names = [f"thing number {i}" for i in range(24)]
    torch.manual_seed(0)
    model = PSALM(PSALMConfig.small(max_length=800, decoder_layers=1, pixel_decoder_layers=1))
    predictor = PSALMPredictor(model, Letters())  # type: ignore[arg-type]
    parts = predictor._prompts.build_parts("instance", CategoryCondition(names))
    shares = [part.num_conditions - 1 for part in parts]
    assert len(parts) > 1 and sum(shares) == len(names) and max(shares) - min(shares) <= len(parts)
    assert len({part.prefix for part in parts}) == 1
    predictor.set_image(image)
    proposals = predictor.predict_proposals(CategoryCondition(names))
    assert proposals.condition_logits.shape == (1, 20, len(names) + 1)
    found = predictor.predict(CategoryCondition(names), thresholds=Thresholds(score=1e-6))
    # Its likeliest names have the scores of a list that holds nothing else.
    short = predictor.predict(CategoryCondition(sorted(set(found.names), key=names.index)), score_threshold=1e-6)
    assert found.names == short.names and np.allclose(found.scores, short.scores, atol=1e-5)
    batch = predictor.predict_batch([image, image], CategoryCondition(names), thresholds=Thresholds(score=1e-6))
    assert [len(each) for each in batch] == [len(found)] * 2
    mixed = [CategoryCondition(names[:2]), CategoryCondition(names), CategoryCondition(names[:2])]
    short, same, again = predictor.predict_batch([image] * 3, mixed, thresholds=Thresholds(score=1e-6))
    assert same.names == found.names and short.names == again.names and set(short.names) <= set(names[:2])
    with pytest.raises(ConditionError, match="tokens long"):
        predictor.predict(CategoryCondition(["x" * 900, "y"]))


def test_more_regions_than_can_be_read_are_asked_in_parts(image):
    torch.manual_seed(0)
    model = PSALM(PSALMConfig.small(decoder_layers=1, pixel_decoder_layers=1))
    plain = PSALMPredictor(model, Letters())  # type: ignore[arg-type]
    asked = regions(3)
    length = sequence_length(plain.prompts.build("interactive", asked), model.config)
    model.config = dataclasses.replace(model.config, max_length=length - 1)
    predictor = PSALMPredictor(model, Letters())  # type: ignore[arg-type]
    predictor.set_image(image)
    found = predictor.predict(asked)
    assert found.prompts == ("point 1", "point 2", "point 3")
    first, second = (VisualPriorCondition(asked.masks[part], asked.kinds[part]) for part in (slice(2), slice(2, 3)))
    expected = [predictor.predict(each) for each in (first, second)]
    assert np.array_equal(found.masks, np.concatenate([each.masks for each in expected]))
    assert np.allclose(found.scores, np.concatenate([each.scores for each in expected]))
    batch = predictor.predict_batch([image] * 3, [asked, first, asked])
    assert [len(each) for each in batch] == [3, 2, 3]


def excluding(condition: VisualPriorCondition, *points: tuple[int, int]) -> VisualPriorCondition:
    excluded = VisualPriorCondition.from_points(points, SHAPE, 3).masks
    return dataclasses.replace(condition, excluded=excluded)


def test_what_is_excluded_changes_the_answer_of_a_model_that_heeds_it(image):
    torch.manual_seed(0)
    predictor = PSALMPredictor(PSALM(two_way_config(vocab_size=400, max_length=1024)), Letters())  # type: ignore[arg-type]
    predictor.set_image(image)
    asked = regions(2)
    plain, told = (predictor.predict_proposals(each).mask_logits for each in (asked, excluding(asked, (5, 50))))
    assert (plain - told).abs().max() > 1e-3
    # Every region sees it, also where they are asked in a batch with others.
    batch = predictor.predict_batch([image, image], [excluding(asked, (5, 50)), asked])
    for condition, found in zip([excluding(asked, (5, 50)), asked], batch, strict=True):
        assert (predictor.predict(condition).masks != found.masks).mean() < 1e-3


def test_a_model_that_knows_no_exclusions_says_so(predictor, image):
    predictor.set_image(image)
    assert not predictor.heeds_exclusions
    with pytest.raises(ConditionError, match="knows no exclusions"):
        predictor.predict(excluding(regions(), (5, 50)))


def test_exclusions_are_checked_and_joined():
    asked = regions(2)
    with pytest.raises(ConditionError, match="Exclusion 1 covers no pixel"):
        dataclasses.replace(asked, excluded=np.zeros((1, *SHAPE), bool))
    with pytest.raises(ConditionError, match="Exclusions have shape"):
        dataclasses.replace(asked, excluded=np.ones((1, 3, 3), bool))
    assert dataclasses.replace(asked, excluded=np.zeros((0, *SHAPE), bool)).excluded is None
    joined = VisualPriorCondition.concatenate([excluding(asked, (5, 50)), asked, excluding(asked, (9, 9))])
    assert joined.excluded is not None and joined.excluded.shape == (2, *SHAPE)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_less_precision_gives_nearly_the_same_masks(predictor, image, precision, monkeypatch):
    import psalm.checkpoint

    copied = copy.deepcopy(predictor.model)

    def load(name: str, device: Any, dtype: Any) -> Any:
        return psalm.checkpoint.LoadedModel(copied.to(dtype), Letters(), predictor.config)  # type: ignore

    monkeypatch.setattr(psalm.checkpoint, "load_model", load)
    other = PSALMPredictor.from_pretrained("somewhere", device="cpu", precision=precision)
    for each in (predictor, other):
        each.set_image(image)
    before, after = (each.predict_proposals(regions()).mask_logits[0].float() for each in (predictor, other))
    assert not torch.equal(before, after)
    assert ((before > 0) == (after > 0)).float().mean() > 0.95


def test_the_default_task_fits_the_condition(predictor, image):
    predictor.set_image(image)
    found = predictor.predict(regions())
    assert set(found.prompts) <= {"point 1", "point 2"}
    assert predictor.predict(SentenceCondition("a cell")).names in ((), ("a cell",))


@pytest.mark.parametrize("make", [lambda i: i[..., 0], lambda i: i / 300, lambda i: i.astype(np.uint16) * 99])
def test_grey_float_and_16_bit_images_are_taken(predictor, image, make):
    predictor.set_image(make(image))
    assert predictor.predict(regions()).size == SHAPE


def test_a_batch_answers_like_single_images(predictor, image):
    images = [image, np.ascontiguousarray(image[:30, :50, ::-1])]
    conditions = [regions(2), regions(1, (30, 50))]
    batch = predictor.predict_batch(images, conditions)
    for each, condition, found in zip(images, conditions, batch, strict=True):
        predictor.set_image(each)
        single = predictor.predict(condition)
        assert single.prompts == found.prompts
        assert np.allclose(single.scores, found.scores, atol=1e-3)
        assert (single.masks != found.masks).mean() < 1e-3
    assert len(predictor.predict_batch(images, CategoryCondition(["cell"]))) == 2
    assert predictor.predict_batch([], CategoryCondition(["cell"])) == []


def test_a_batch_leaves_the_image_that_was_set(predictor, image):
    predictor.set_image(image)
    predictor.predict_batch([image[:20, :20]], CategoryCondition(["cell"]))
    assert predictor.predict(regions()).size == SHAPE


def test_proposals_may_be_decoded_again(predictor, image):
    predictor.set_image(image)
    condition = CategoryCondition(["cell"])
    proposals = predictor.predict_proposals(condition)
    many = predictor.decode(proposals, condition, score_threshold=0.0)
    few = predictor.decode(proposals, condition, score_threshold=float(np.median(many.scores)))
    assert 0 < len(few) < len(many)
    assert np.array_equal(few.scores, many.scores[: len(few)])
    assert np.array_equal(predictor.predict(condition, score_threshold=0.0).scores, many.scores)


def test_a_score_threshold_holds_for_every_task(predictor, image):
    predictor.set_image(image)
    for condition, task in CONDITIONS:
        assert (predictor.predict(condition, task, score_threshold=0.3).scores >= 0.3).all()
        assert len(predictor.predict(condition, task, score_threshold=1.01)) == 0
    assert len(predictor.predict(regions())) == 2


def test_wrong_use_says_the_cure(predictor, image):
    fresh = PSALMPredictor(predictor.model, Letters())  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="call set_image"):
        fresh.predict(regions())
    fresh.set_image(image)
    with pytest.raises(ConditionError, match=r"\(30, 60\).*\(40, 60\)"):
        fresh.predict(regions(shape=(30, 60)))
    with pytest.raises(ConditionError, match="no task"):
        fresh.predict(regions(), "magic")
    with pytest.raises(ConditionError, match="needs a"):
        fresh.predict(regions(), "panoptic")
    with pytest.raises(ConditionError, match="one per image"):
        fresh.predict_batch([image], [regions(), regions()])
    with pytest.raises(ConditionError):
        fresh.predict_batch([image, image], [regions(), SentenceCondition("a cell")])
    with pytest.raises(ImageError, match="NaN"):
        fresh.set_image(np.full(SHAPE, np.nan))
    with pytest.raises(ImageError, match="call set_image"):  # no answer about the image before
        fresh.predict(regions())


def test_answers_carry_no_gradients(predictor, image):
    predictor.set_image(image)
    assert predictor.predict_proposals(regions()).mask_logits.is_inference()
    assert not predictor.model.training


def test_a_model_folder_is_loaded(tmp_path: Path, predictor, monkeypatch):
    import psalm.checkpoint

    asked: dict[str, Any] = {}

    def load(name: str, device: Any, dtype: Any) -> Any:
        asked.update(name=name, device=device)
        return psalm.checkpoint.LoadedModel(predictor.model, Letters(), predictor.config, {"a": 1})  # type: ignore

    monkeypatch.setattr(psalm.checkpoint, "load_model", load)
    loaded = PSALMPredictor.from_pretrained("somewhere")
    assert asked == {"name": "somewhere", "device": best_device()}
    assert loaded.info == {"a": 1} and loaded.config.name == "psalm-test"
    assert str(PSALMPredictor.from_pretrained("somewhere", device="cpu").device) == "cpu"
    assert asked["device"] == "cpu"


def test_a_name_that_was_never_trained_is_answered_with_one_warning(predictor: PSALMPredictor, image: Any) -> None:
    strict = PSALMPredictor(predictor.model, Letters(), {"names": ["cell", "coin"]})  # type: ignore[arg-type]
    strict.set_image(image)
    with pytest.warns(UnknownNameWarning, match="not trained on rod") as caught:
        strict.predict(CategoryCondition(["cells", "rod"]))
        strict.predict_batch([image], CategoryCondition(["rod", "coin"]))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strict.predict(SentenceCondition("the rod on the left"))
        predictor.predict_batch([image], CategoryCondition(["rod"]))  # its makers do not say what it knows
