"""The batches of a stage, each a pure function of the seed and its position."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from signal import SIG_IGN, SIGINT, signal
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from psalm.conditions import Task
from psalm.data.mixture import Mixture
from psalm.errors import ConditionError, ConfigError
from psalm.training.collate import Batch, Collator
from psalm.training.config import CONVERSATION, Lesson, StageConfig
from psalm.training.talk import TalkBatch, TalkCollator

_TRIES = 20


class StageBatches(Dataset[Batch | TalkBatch]):
    """Micro batches of a stage by position; position p belongs to step ``p // stage.per_step``.

    Parameters
    ----------
    mixtures : mapping of Task, or "conversation", to Mixture
    collator : Collator
    stage : StageConfig
    seed : int
    talk : TalkCollator, optional
        Needed by stages with conversations.
    """

    def __init__(
        self,
        mixtures: Mapping[Lesson, Mixture[Any]],
        collator: Collator,
        stage: StageConfig,
        seed: int,
        talk: TalkCollator | None = None,
    ) -> None:
        self.mixtures = mixtures
        self.collator = collator
        self.stage = stage
        self.seed = seed
        self.talk = talk

    def __len__(self) -> int:
        return self.stage.steps * self.stage.per_step

    def __getitem__(self, position: int) -> Batch | TalkBatch:
        task = self.stage.lesson(position)
        first = position * self.stage.batch_size
        if task == CONVERSATION:
            if self.talk is None:
                raise ConfigError("A stage with conversations needs what writes them: pass a TalkCollator.")
            numbers = range(first, first + self.stage.batch_size)
            return self.talk([self.mixtures[CONVERSATION].sample(number, self.seed) for number in numbers])
        samples = [sample for row in range(self.stage.batch_size) for sample in self._image(first + row, task)]
        seeds = task is Task.PANOPTIC and bool(self.stage.seed_weight) and not self.stage.criterion.active
        return replace(self.collator(samples, seeds), questions=self.stage.questions)

    def _image(self, number: int, task: Task) -> list[Any]:
        """The questions about image `number` of the stage; another is drawn if the model cannot read one of them."""
        for attempt in range(_TRIES):
            seed = self.seed + 7919 * attempt
            variant = self._variant(number, seed)
            mixture, questions = self.mixtures[task], range(self.stage.questions)
            samples = [mixture.sample(number, seed, task, variant, question) for question in questions]
            try:
                for sample in samples:
                    self.collator.prompts.build(sample.task, sample.condition)
            except ConditionError:
                if attempt == _TRIES - 1:
                    raise
            else:
                return samples
        raise AssertionError("unreachable")

    def _variant(self, number: int, seed: int) -> int:
        if not self.stage.variants:
            return number + 1
        numbers = self.stage.variant_numbers
        return numbers[int(np.random.default_rng([seed, number, 1]).integers(len(numbers)))]


def read_steps(
    batches: StageBatches, start: int, workers: int, share: tuple[int, int] = (0, 1)
) -> Iterator[list[Batch | TalkBatch]]:
    """The micro batches of every step from `start` on, prepared ahead by `workers` processes.

    With `share` (number, count), only every count-th of them, from that number on: those of one of several trainers.
    """
    number, count = share
    per_step = batches.stage.per_step // count
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start * batches.stage.per_step + number, len(batches), count),
        num_workers=workers,
        collate_fn=_sent if workers else _same,  # type: ignore[arg-type]  # it gets one item, not a list
        worker_init_fn=calm,
        prefetch_factor=2 * per_step if workers else None,
    )
    step: list[Batch | TalkBatch] = []
    for batch in loader:
        step.append(pickle.loads(batch) if isinstance(batch, bytes) else batch)
        if len(step) == per_step:
            yield step
            step = []


def _same(batch: Batch | TalkBatch) -> Batch | TalkBatch:
    return batch


def _sent(batch: Batch | TalkBatch) -> Batch | TalkBatch | bytes:
    """What a worker hands over: each of a batch's hundreds of small tensors would take a file descriptor to share."""
    return pickle.dumps(batch) if isinstance(batch, Batch) and batch.features else batch


def calm(_: int) -> None:
    """Workers leave Ctrl-C to the trainer, which finishes its step, and the cores to it as well."""
    signal(SIGINT, SIG_IGN)
    torch.set_num_threads(1)
