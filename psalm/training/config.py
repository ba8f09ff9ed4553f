"""What a training run does, read from a YAML file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from psalm.conditions import Task
from psalm.errors import ConfigError
from psalm.training.records import read_record, to_plain


@dataclass(frozen=True)
class CriterionConfig:
    """Weights and choices of the loss; the defaults are those of the published model.

    Parameters
    ----------
    num_points, oversample, importance
        Points per mask, candidates per point, and the share chosen by uncertainty.
    mask_weight, dice_weight, condition_weight
        Weights of the terms.
    background_weight
        Weight of the background in the cross entropy over categories.
    match_on : {"points", "iou"}
        Whether matching compares masks on random points or by their IoU.
    cost_mask, cost_dice, cost_iou, cost_class
        Weights in the matching.
    mask_loss
        False when the masks carry no gradient: only the conditions are trained.
    min_match_iou
        A pair whose masks overlap less does not count as a positive; 0 is off.
    choice
        Share of the cross entropy over the proposals in the loss of a sentence; the rest judges every proposal by
        itself, as published.
    extra_positives_iou
        An unmatched proposal that overlaps an object more than this is ignored instead of background; 0 is off.
    """

    num_points: int = 12544
    oversample: float = 3.0
    importance: float = 0.75
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    condition_weight: float = 2.0
    background_weight: float = 0.1
    match_on: Literal["points", "iou"] = "points"
    cost_mask: float = 5.0
    cost_dice: float = 5.0
    cost_iou: float = 5.0
    cost_class: float = 2.0
    mask_loss: bool = True
    min_match_iou: float = 0.0
    choice: float = 0.0
    extra_positives_iou: float = 0.0


@dataclass(frozen=True)
class ModelConfig:
    """The model that a run starts from.

    Parameters
    ----------
    init : str, optional
        A model name or folder that gives config, weights and tokenizer.
    config : dict
        Fields of `PSALMConfig`, on top of those of `init` or of the defaults.
    tokenizer : str, optional
        A tokenizer file or folder; that of `init` when not given.
    weights : list of str
        Safetensors files with some of the model's tensors, loaded in turn over the rest.
    """

    init: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataConfig:
    """One source of samples of the mixture.

    Parameters
    ----------
    kind : {"coco", "scenes", ...}
        A COCO file, generated scenes, or the name of a published data set (`psalm.data.datasets.DATASETS`).
    weight : float
        How often it is drawn, relative to the others.
    tasks : list of str
        The tasks that it serves; all when empty.
    options : dict
        Arguments of the source (paths, split, sizes), in the words of `psalm.data`.
    """

    kind: Literal[
        "coco", "scenes", "coco-panoptic", "coco-instances", "coco-semantic", "refcoco", "refcoco+", "refcocog",
        "grefcoco", "coco-interactive", "lvis", "ade20k", "cityscapes", "pascal-voc", "pascal-context-59",
        "pascal-context-459", "davis",
    ]  # fmt: skip
    weight: float = 1.0
    tasks: tuple[Task, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ValidationConfig:
    """Quick figures during training.

    Parameters
    ----------
    data : list of DataConfig
        Where the samples come from; they are the same each time.
    every : int
        Steps between two looks; 0 looks at the end of each stage only.
    samples : int
        Samples per task.
    tasks : list of str
    seed : int
    """

    data: tuple[DataConfig, ...] = ()
    every: int = 500
    samples: int = 32
    tasks: tuple[Task, ...] = (Task.INSTANCE, Task.REFERRING, Task.INTERACTIVE)
    seed: int = 1


@dataclass(frozen=True)
class StageConfig:
    """A part of the run with its own choice of what is trained.

    Parameters
    ----------
    name : str
    steps : int
        Optimiser steps.
    batch_size : int
        Images per micro batch; all of one micro batch have the same task.
    tasks : dict of str to int
        Micro batches of each task in every step; their gradients are added up (joint batches over the conditions).
    lr : float
        Peak learning rate of AdamW.
    lr_scale : dict of str to float
        Factors on `lr` for the modules that a pattern names.
    warmup : float
        Linear warm-up: a share of the steps below 1, a number of steps otherwise.
    schedule : {"cosine", "constant"}
    weight_decay : float
        Not applied to biases, norms and other vectors.
    clip : float
        Largest norm of the gradient; 0 is off.
    train : list of str
        Name patterns of the modules or parameters that are trained (``projector``, ``*_projector``, ``*``). The rest is
        frozen and in evaluation mode.
    cache : bool
        Keep the features of an image on disk; needs a frozen encoder.
    variants : int
        Copies of each image that are drawn, the unchanged one among them; 0 is without limit. Few with `cache`.
    described : bool
        Ask about descriptions of the images' drafts instead of pixels: names and sentences are then learnt at the cost
        of the language model alone. Needs a frozen encoder and projector; not for the interactive task.
    questions : int
        Questions about each image of a batch; a described stage reads what they have in common only once.
    seed_weight : float
        Weight of the mask generator's loss on where it looks for objects, on panoptic batches; 0 is off.
    criterion : CriterionConfig
    """

    name: str
    steps: int
    batch_size: int = 4
    tasks: dict[Task, int] = field(default_factory=lambda: {Task.INSTANCE: 1, Task.REFERRING: 1, Task.INTERACTIVE: 1})
    lr: float = 6e-5
    lr_scale: dict[str, float] = field(default_factory=dict)
    warmup: float = 0.03
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 0.0
    clip: float = 1.0
    train: tuple[str, ...] = ("*",)
    cache: bool = False
    variants: int = 0
    described: bool = False
    questions: int = 1
    seed_weight: float = 0.0
    criterion: CriterionConfig = field(default_factory=CriterionConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.questions) < 1:
            raise ConfigError(f"Stage {self.name!r}: steps, batch_size and questions must be 1 or more.")
        if not any(count > 0 for count in self.tasks.values()) or min(self.tasks.values()) < 0:
            raise ConfigError(f"Stage {self.name!r}: tasks needs at least one task with a count of 1 or more.")
        if self.cache and not self.variants:
            raise ConfigError(f"Stage {self.name!r}: with cache, set variants to 1 or more, or the cache has no end.")
        if self.described and self.tasks.get(Task.INTERACTIVE, 0):
            raise ConfigError(f"Stage {self.name!r}: a described stage has no interactive task; take it out of tasks.")
        if not self.train:
            raise ConfigError(f"Stage {self.name!r}: train is empty; name what is trained, for example ['*'].")

    @property
    def micro_batches(self) -> tuple[Task, ...]:
        """The task of each micro batch of a step."""
        return tuple(task for task, count in self.tasks.items() for _ in range(count))


@dataclass(frozen=True)
class TrainConfig:
    """A whole run.

    Parameters
    ----------
    output : str
        Folder of the run; relative to the working directory.
    model : ModelConfig
    data : list of DataConfig
    stages : list of StageConfig
    validation : ValidationConfig
    temper : float
        A source of n images is drawn in proportion to ``n ** temper``.
    seed : int
        With the step, it decides the order of the data and every random number.
    precision : {"no", "bf16"}
        Of the forward pass (autocast).
    device : str, optional
        ``"cpu"`` forbids the accelerator; chosen by accelerate when not given.
    workers : int
        Processes that prepare data; 0 does it in between.
    threads : int
        Threads of torch; 0 leaves its choice.
    ema : float
        Decay of the running average of the weights, for example 0.999; 0 is off. The average is validated, handed to
        the next stage and saved.
    log_every, save_every : int
        Steps between two lines of the log, and between two saved states.
    cache_dir : str, optional
        Folder of cached features; ``<output>/features`` when not given.
    save_half : bool
        Write the finished model in half precision, for half the size.
    """

    output: str
    data: tuple[DataConfig, ...]
    stages: tuple[StageConfig, ...]
    model: ModelConfig = field(default_factory=ModelConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    temper: float = 0.5
    seed: int = 0
    precision: Literal["no", "bf16"] = "no"
    device: str | None = None
    workers: int = 1
    threads: int = 0
    ema: float = 0.0
    log_every: int = 10
    save_every: int = 200
    cache_dir: str | None = None
    save_half: bool = False

    def __post_init__(self) -> None:
        if not self.data or not self.stages:
            raise ConfigError("A training config needs at least one entry in data and one in stages.")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema is {self.ema}: give a decay from 0 (off) to below 1.")
        if self.log_every < 1 or self.save_every < 1:
            raise ConfigError("log_every and save_every must be 1 or more.")

    @classmethod
    def from_file(cls, path: Path | str) -> TrainConfig:
        """Read a YAML file.

        Raises
        ------
        ConfigError
            When the file cannot be read, or a field is missing, unknown or of another type.
        """
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"The training config {path} cannot be read: {error}") from error
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Read plain values, as YAML gives them."""
        return read_record(cls, values, "config")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as YAML and JSON write them."""
        return to_plain(dataclasses.asdict(self))
