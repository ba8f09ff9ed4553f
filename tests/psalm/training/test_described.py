"""Described images answer as their pixels would, at the cost of the language model alone."""

from __future__ import annotations

import copy
import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from psalm.conditions import Task
from psalm.config import PSALMConfig
from psalm.data.mixture import Mixture
from psalm.data.scenes import SceneSamples
from psalm.errors import ConfigError
from psalm.modeling.psalm import PSALM
from psalm.training import TrainConfig, train
from psalm.training.collate import Batch, Collator
from psalm.training.config import StageConfig
from psalm.training.criterion import Criterion, CriterionConfig
from psalm.training.described import DescribedImage, DescribedSamples
from psalm.training.describing import Describer
from psalm.training.feature_cache import FeatureCache
from psalm.training.frozen import train_only
from psalm.training.sources import build_model
from psalm.training.stream import StageBatches, read_steps

TRAINED = ["language_model", "query_projector", "category_projector", "sentence_projector", "mask_generator.token"]
SCENES = SceneSamples(3, seed=4, size=(64, 96))
IOU = CriterionConfig(mask_loss=False, match_on="iou", min_match_iou=0.3, extra_positives_iou=0.3)


def drafting_config() -> PSALMConfig:
    return PSALMConfig.small(
        image_size=128,
        backbone="tiny_vit",
        mask_generator="two_way",
        num_seeds=16,
        num_mask_tokens=6,
        hidden_dim=64,
        max_length=1024,
        mask_token_attention="full",
    )


@pytest.fixture(scope="module")
def drafting() -> PSALM:
    torch.manual_seed(0)
    return PSALM(drafting_config())


@pytest.fixture
def model(drafting: PSALM) -> Iterator[PSALM]:
    train_only(drafting, TRAINED)
    yield drafting.eval()


@pytest.fixture
def described(model: PSALM, tmp_path: Path) -> DescribedSamples:
    return Describer(model, tmp_path, nullcontext)(SCENES)


@pytest.mark.parametrize("task", [Task.INSTANCE, Task.REFERRING])
def test_a_question_and_its_loss_are_those_of_the_pixels(
    model: PSALM, described: DescribedSamples, tokenizer: PreTrainedTokenizerBase, task: Task, tmp_path: Path
) -> None:
    collator = Collator(tokenizer, model.config)
    seen = collator([SCENES.sample(i, np.random.default_rng(i), task) for i in range(3)])
    batch = collator([described.sample(i, np.random.default_rng(i), task) for i in range(3)])
    assert seen.prompts == batch.prompts and batch.features is not None
    with torch.no_grad():
        features = FeatureCache(tmp_path, model).encode(seen.images, seen.keys, regions=False)
        expected = model.propose(features, seen.prompts)
        answered = model.propose(batch.features, batch.prompts)
    first, second = expected[-1].condition_logits, answered[-1].condition_logits
    assert torch.allclose(first, second, atol=2e-2), "half precision alone may tell them apart"
    losses = [
        Criterion(IOU)(proposals, targets.targets, targets.prompts[0].kind).total
        for proposals, targets in ((expected, seen), (answered, batch))
    ]
    assert torch.allclose(losses[0], losses[1], atol=2e-2) and losses[0] > 0


def test_a_record_is_read_as_it_was_written(described: DescribedSamples, tmp_path: Path) -> None:
    image = described.images[0]
    image.save(tmp_path / "record.safetensors")
    again = DescribedImage.load(tmp_path / "record.safetensors")
    assert again.labelled.things == image.labelled.things and again.labelled.shape == (64, 96)
    assert again.labelled.sentences == image.labelled.sentences
    assert torch.equal(again.description, image.description) and torch.equal(again.shared, image.shared)
    with pytest.raises(ConfigError, match="no masks"):
        again.labelled.decode([0])


def test_joined_regions_overlap_as_one(described: DescribedSamples) -> None:
    image = described.images[0]
    both = image.overlap([(0, 1)])[:, 0]
    shared = image.shared[:, :2].float().sum(1)
    assert torch.allclose(both, shared / (image.areas + image.object_areas[:2].sum() - shared))
    assert image.overlap([]).shape == (len(image.areas), 0)


def test_an_image_is_described_once(model: PSALM, described: DescribedSamples, tmp_path: Path) -> None:
    files = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("described*/*/*.safetensors"))
    assert len(files) == 3
    again = Describer(model, tmp_path, nullcontext)(SCENES)
    assert files == sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("described*/*/*.safetensors"))
    assert torch.equal(again.images[1].description, described.images[1].description)


def test_variants_are_described_as_they_are_drawn(model: PSALM, described: DescribedSamples, tmp_path: Path) -> None:
    both = Describer(model, tmp_path, nullcontext, variants=range(2))(SCENES)
    assert len(both) == len(SCENES) and len(both.images) == 2 * len(SCENES)
    for variant in (0, 1):
        asked = [both.sample(i, np.random.default_rng(0), Task.INSTANCE, variant) for i in range(3)]
        drawn = [SCENES.sample(i, np.random.default_rng(0), Task.INSTANCE, variant) for i in range(3)]
        assert [one.image.labelled.things for one in asked] == [SCENES.labelled(i, variant).things for i in range(3)]
        assert [one.condition for one in asked] == [one.condition for one in drawn]
    assert torch.equal(both.images[2].description, described.images[1].description), "the unchanged image comes first"
    assert not torch.equal(both.images[3].description, both.images[2].description)


def test_a_stage_may_begin_with_another_variant_than_the_unchanged_image(
    model: PSALM, described: DescribedSamples, tmp_path: Path
) -> None:
    stage = StageConfig("names", 1, described=True, variants=2, first_variant=1, tasks={Task.INSTANCE: 1})
    changed = Describer(model, tmp_path, nullcontext, variants=stage.variant_numbers)(SCENES)
    keys = {changed.sample(1, np.random.default_rng(0), variant=v).image.labelled.key for v in stage.variant_numbers}
    assert keys == {SCENES.labelled(1, variant).key for variant in (1, 2)}
    assert described.images[1].labelled.key not in keys


def test_the_numbers_of_a_description_are_brought_to_one_scale(model: PSALM, described: DescribedSamples) -> None:
    standardise = model.mask_generator.standardise  # type: ignore[union-attr]
    assert standardise.measured
    rows = standardise(torch.cat([image.description for image in described.images]).float())
    assert rows.mean(0).abs().max() < 0.2 and rows.std(0).max() < 1.2


@pytest.mark.parametrize(("change", "message"), [({"train": ["projector"]}, "projector"), ({}, "two_way")])
def test_what_cannot_be_described_is_refused(
    settings: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    if change:
        settings["model"]["config"] = drafting_config().to_dict()
    model, _ = build_model(TrainConfig.from_dict(settings).model)
    train_only(model, change.get("train", TRAINED[:1]))
    with pytest.raises(ConfigError, match=message):
        Describer(model, tmp_path, nullcontext)


def test_the_interactive_task_needs_pixels(settings: dict[str, Any]) -> None:
    settings["stages"][0]["described"] = True
    with pytest.raises(ConfigError, match="interactive"):
        TrainConfig.from_dict(settings)


@pytest.fixture
def naming(settings: dict[str, Any]) -> dict[str, Any]:
    """A run of one stage that learns names from descriptions."""
    settings = copy.deepcopy(settings)
    settings["model"]["config"] = drafting_config().to_dict()
    stage = {"name": "language", "train": TRAINED, "tasks": {"instance": 1}, "described": True, "cache": True}
    criterion = {"mask_loss": False, "match_on": "iou", "min_match_iou": 0.3, "extra_positives_iou": 0.3}
    stage |= {"steps": 60, "batch_size": 2, "questions": 3, "lr": 3e-3, "warmup": 5, "variants": 1}
    settings["stages"] = [stage | {"criterion": criterion}]
    settings["log_every"] = 5
    return settings


def test_a_stage_that_is_interrupted_while_it_describes_goes_on_with_the_rest(
    naming: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    naming["stages"][0] |= {"steps": 2, "variants": 2}
    described: list[Path] = []
    save = DescribedImage.save

    def saved(image: DescribedImage, path: Path) -> None:
        save(image, path)
        described.append(path)
        if len(described) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(DescribedImage, "save", saved)
    first = train(TrainConfig.from_dict(naming), progress=False)
    assert (first.finished, first.stage, first.step, len(described)) == (False, 0, 0, 1)
    assert train(TrainConfig.from_dict(naming), progress=False).finished
    assert len(described) == len(set(described)) == 2 * 2, "two variants of two images, each once"


def test_names_are_learnt_from_descriptions(naming: dict[str, Any]) -> None:
    result = train(TrainConfig.from_dict(naming), progress=False)
    log = (result.folder / "log.jsonl").read_text().splitlines()
    losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in log if '"loss"' in line]
    assert result.finished and np.mean(losses[-3:]) < 0.6 * losses[0]


def test_a_model_without_a_semantic_backbone_has_nothing_to_look_with(naming: dict[str, Any]) -> None:
    naming["stages"][0]["look_alone"] = 0.5
    with pytest.raises(ConfigError, match="look_alone is set, but the model has no semantic backbone"):
        train(TrainConfig.from_dict(naming), progress=False)


def test_questions_about_one_image_share_its_prefix(
    model: PSALM, described: DescribedSamples, tokenizer: PreTrainedTokenizerBase
) -> None:
    rows = [described.sample(i, np.random.default_rng(k), Task.INSTANCE) for i in range(2) for k in range(3)]
    batch = Collator(tokenizer, model.config)(rows)
    assert batch.features is not None
    with torch.no_grad():
        alone = model.propose(batch.features, batch.prompts)[-1].condition_logits
        once = type(batch.features)((), batch.features.image_tokens[::3])
        prefix = model.read_prefix(once, batch.prompts[0]).repeat(3)
        shared = model.propose(batch.features, batch.prompts, prefix=prefix)[-1].condition_logits
    assert torch.allclose(alone, shared, atol=1e-5)


def test_workers_hand_a_described_batch_over_whole(
    model: PSALM, described: DescribedSamples, tokenizer: PreTrainedTokenizerBase
) -> None:
    mixtures = {Task.INSTANCE: Mixture([(described, 1.0)])}
    stage = StageConfig("names", 2, batch_size=2, tasks={Task.INSTANCE: 1}, described=True, variants=1)
    batches = StageBatches(mixtures, Collator(tokenizer, model.config), stage, seed=3)
    for alone, handed in zip(read_steps(batches, 0, 0), read_steps(batches, 0, 1), strict=True):
        first, second = (batch.to("cpu") for batch in (*alone, *handed))
        assert isinstance(first, Batch) and isinstance(second, Batch) and first.features and second.features
        assert first.prompts == second.prompts
        assert torch.equal(first.features.image_tokens, second.features.image_tokens)
        for one, other in zip(first.targets, second.targets, strict=True):
            assert one.known is not None and other.known is not None and torch.equal(one.known, other.known)


def test_thinning_leaves_out_background_alone(described: DescribedSamples) -> None:
    image = described.images[0]
    objects = [(i,) for i in range(len(image.labelled.things))]
    best = image.overlap(objects).amax(1)
    sizes = set()
    for seed in range(20):
        thinned = image.thinned(np.random.default_rng(seed))
        sizes.add(len(thinned.quality))
        kept = thinned.overlap(objects).amax(1)
        assert (kept > 0.3).sum() == (best > 0.3).sum()
        assert len(thinned.description) == len(thinned.areas) == len(thinned.shared) == len(thinned.quality)
    assert min(sizes) < len(image.quality)
