"""Batches are a pure function of seed and position, and complete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from psalm.conditions import SentenceCondition, Task
from psalm.config import PSALMConfig
from psalm.data.mixture import Mixture
from psalm.data.sample import Sample
from psalm.data.scenes import SceneSamples
from psalm.training.collate import Batch, Collator
from psalm.training.config import StageConfig
from psalm.training.stream import StageBatches, read_steps

TASKS = {Task.INSTANCE: 2, Task.REFERRING: 1, Task.INTERACTIVE: 1}
CONFIG = PSALMConfig.small(image_size=96)


@pytest.fixture
def batches(tokenizer: Any) -> StageBatches:
    mixture = Mixture([(SceneSamples(3, size=(64, 96)), 1.0)])
    stage = StageConfig("all", steps=3, batch_size=2, tasks=TASKS, variants=2)
    return StageBatches(dict.fromkeys(TASKS, mixture), Collator(tokenizer, CONFIG), stage, seed=5)


def same(one: Batch, other: Batch) -> bool:
    masks = all(torch.equal(a.masks, b.masks) for a, b in zip(one.targets, other.targets, strict=True))
    return torch.equal(one.images, other.images) and one.prompts == other.prompts and masks


@pytest.mark.parametrize("workers", [0, 1])
def test_steps_can_be_read_from_anywhere(batches: StageBatches, workers: int) -> None:
    whole = list(read_steps(batches, 0, 0))
    tail = list(read_steps(batches, 1, workers))
    assert [len(step) for step in whole] == [4, 4, 4]
    assert len(tail) == 2
    assert all(same(*pair) for step in zip(whole[1:], tail, strict=True) for pair in zip(*step, strict=True))
    assert not same(whole[0][0], whole[1][0])


def test_a_batch_has_one_task_and_what_it_needs(batches: StageBatches) -> None:
    step = next(read_steps(batches, 0, 0))
    assert [batch.task for batch in step] == [Task.INSTANCE, Task.INSTANCE, Task.REFERRING, Task.INTERACTIVE]
    assert [batch.regions is not None for batch in step] == [False, False, False, True]
    for batch in step:
        assert batch.images.shape == (2, 3, 96, 96)
        assert all(batch.keys)
        for target, prompt in zip(batch.targets, batch.prompts, strict=True):
            assert target.masks.shape[1:] == (96, 96)
            assert len(target.masks) == len(target.labels)
            assert not len(target) or int(target.labels.max()) < prompt.num_conditions


def test_variants_are_drawn_from_the_first_one_on(batches: StageBatches) -> None:
    seed, numbers = batches.seed, range(40)
    assert {batches._variant(number, seed) for number in numbers} == {0, 1}
    before = [batches._variant(number, seed) for number in numbers]
    batches.stage = replace(batches.stage, first_variant=3)
    assert [batches._variant(number, seed) for number in numbers] == [variant + 3 for variant in before]


def test_a_prompt_too_long_for_the_model_is_replaced(tokenizer: Any) -> None:
    class Long(Mixture[Sample]):
        def __init__(self) -> None: ...

        def sample(
            self, step: int, seed: int = 0, task: Task | None = None, variant: int = 0, question: int = 0
        ) -> Sample:
            text = "the cell " * (2000 if seed == 5 else 1)
            image = np.zeros((32, 32, 3), dtype=np.uint8)
            masks = np.ones((1, 32, 32), dtype=bool)
            return Sample(image, Task.REFERRING, SentenceCondition(text), masks, np.zeros(1, dtype=np.int64))

    stage = StageConfig("all", steps=1, batch_size=1, tasks={Task.REFERRING: 1})
    batch = StageBatches({Task.REFERRING: Long()}, Collator(tokenizer, CONFIG), stage, seed=5)[0]
    assert len(batch.prompts[0].token_ids) < 100
