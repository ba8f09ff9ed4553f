"""The training run that fine-tunes a model on a few images: which parts learn what, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from psalm.conditions import Task
from psalm.config import PSALMConfig
from psalm.training.config import (
    CriterionConfig,
    DataConfig,
    LoraConfig,
    ModelConfig,
    StageConfig,
    TrainConfig,
    ValidationConfig,
)
from psalm.training.verified import VerifiedImages

_LANGUAGE = (
    "language_model", "query_projector", "category_projector", "sentence_projector", "region_projector",
    "mask_generator.token", "mask_generator.geometry", "mask_generator.kind", "mask_generator.place",
    "mask_generator.category_head", "mask_generator.sentence_head", "mask_generator.region_head",
)  # fmt: skip
# What follows the decoder's attention. The states that it leaves behind are part of every description of a mask, so the
# names stay as they were learnt, and a step takes less than half the time.
_OUTLINES = (
    "mask_generator.decoder.output_upscaling", "mask_generator.decoder.output_hypernetworks_mlps",
    "mask_generator.decoder.iou_prediction_head", "mask_generator.region_head",
)  # fmt: skip
_LOOKS = 3  # validations per stage; each costs as much as many steps
_ROUNDS, _QUESTIONS = 3, 24  # of a look, per task: so often about every held-out image, but so many in all


@dataclass(frozen=True)
class FinetuneOptions:
    """What a user may choose.

    Parameters
    ----------
    held_out : float
        Share of the verified images that is kept for measuring.
    steps : int
        Optimiser steps that shape the masks; naming gets as many.
    lr : float, optional
        Peak learning rate; by the kind of model when not given. Of psalm-tiny it is that of the masks: where to look
        learns at three times, the names at two thirds of it.
    lora : int, optional
        Rank of the additions that the language model learns instead of new weights, 0 for new weights; by the kind of
        model when not given.
    freeze : tuple of str
        Name patterns of what shall not change.
    patience : int
        A stage ends after so many looks at the held-out images without gain; its best weights are kept.
    seed : int
    device : str, optional
    """

    held_out: float = 0.2
    steps: int = 80
    lr: float | None = None
    lora: int | None = None
    freeze: tuple[str, ...] = ()
    patience: int = 2
    seed: int = 0
    device: str | None = None


def plan_finetuning(
    model: str, config: PSALMConfig, images: VerifiedImages, output: Path, options: FinetuneOptions
) -> TrainConfig:
    """The run for a model of this config; the backbone stays frozen, since a few images would spoil it."""
    where = {"annotations": str(images.annotations), "images": str(images.images)}
    two_way = config.mask_generator == "two_way"
    return TrainConfig(
        output=str(output),
        model=ModelConfig(init=model),
        data=(DataConfig("coco", options=where | {"split": "train"}),),
        stages=_two_way_stages(config, options) if two_way else _published_stages(options),
        validation=ValidationConfig(
            data=(DataConfig("coco", options=where | {"split": "val"}),),
            every=math.ceil(options.steps / _LOOKS),
            samples=min(_ROUNDS * images.held_out, _QUESTIONS),
            in_turn=True,
            tasks=(Task.INSTANCE, Task.INTERACTIVE),
        ),
        temper=1.0,
        seed=options.seed,
        precision="no" if two_way else "bf16",
        device=options.device,
        workers=0,
        save_every=math.ceil(options.steps / _LOOKS),
    )


def _two_way_stages(config: PSALMConfig, options: FinetuneOptions) -> tuple[StageConfig, ...]:
    """First masks around visual priors and where to look, then the names of the better masks."""
    lr = options.lr or 3e-4
    answers = CriterionConfig(mask_loss=False, match_on="iou", min_match_iou=0.5, extra_positives_iou=0.5, choice=0.75)
    masks = StageConfig(
        name="masks",
        steps=options.steps,
        batch_size=2,
        tasks={Task.INTERACTIVE: 1},
        lr=lr,
        warmup=5,
        train=_OUTLINES,
        freeze=options.freeze,
        cache=True,
        variants=2,
        patience=options.patience,
        judged_by=(Task.INTERACTIVE,),
        criterion=CriterionConfig(num_points=2048, match_on="iou", condition_weight=1.0),
    )
    seeds = StageConfig(
        name="seeds",
        steps=max(options.steps // 2, 1),
        batch_size=4,
        tasks={Task.PANOPTIC: 1},
        lr=3 * lr,
        train=("mask_generator.seed_head",),
        freeze=options.freeze,
        cache=True,
        variants=2,
        patience=options.patience,
        judged_by=(Task.INSTANCE,),
        seed_weight=1.0,
        criterion=CriterionConfig(mask_loss=False, condition_weight=0),
    )
    looks = ("mask_generator.look",) if config.semantic_backbone else ()
    names = StageConfig(
        name="names",
        steps=options.steps,
        batch_size=4,
        questions=2,
        tasks={Task.INSTANCE: 1},
        lr=2 / 3 * lr,
        warmup=5,
        train=_LANGUAGE + looks,
        freeze=options.freeze,
        lora=LoraConfig(options.lora) if options.lora else None,
        cache=True,
        variants=1,
        described=True,
        patience=options.patience,
        judged_by=(Task.INSTANCE,),
        criterion=answers,
    )
    return masks, seeds, names


def _published_stages(options: FinetuneOptions) -> tuple[StageConfig, ...]:
    rank = 16 if options.lora is None else options.lora
    return (
        StageConfig(
            name="all",
            steps=options.steps,
            batch_size=1,
            accumulate=2,
            tasks={Task.INSTANCE: 1, Task.INTERACTIVE: 1},
            lr=options.lr or 6e-5,
            train=("language_model", "mask_generator", "*_projector"),
            freeze=options.freeze,
            lora=LoraConfig(rank) if rank else None,
            checkpointing=True,
            cache=False,
            patience=options.patience,
        ),
    )
