"""What a training run does, read from a YAML file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from psalm.conditions import Task
from psalm.errors import ConfigError
from psalm.training.records import read_record, to_plain
from psalm.training.stage_config import CONVERSATION, CriterionConfig, Lesson, LoraConfig, StageConfig, Talk

__all__ = [
    "CONVERSATION",
    "CriterionConfig",
    "DataConfig",
    "Lesson",
    "LoraConfig",
    "ModelConfig",
    "StageConfig",
    "Talk",
    "TrainConfig",
    "ValidationConfig",
]


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
    backbone : str, optional
        A model name or folder of ours: gives its backbone alone.
    mask2former : str, optional
        A ``.pkl`` file of Mask2Former with a Swin backbone: gives backbone, pixel decoder and transformer decoder.
    phi : str, optional
        A folder of Phi as its makers hand it out: gives the language model.
    projector : str, optional
        A projector of stage 1: the model folder that stage 1 wrote, or the published ``mm_projector.bin``.
    weights : list of str
        Safetensors files with some of the model's tensors, loaded last and in turn over the rest.
    """

    init: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    backbone: str | None = None
    mask2former: str | None = None
    phi: str | None = None
    projector: str | None = None
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataConfig:
    """One source of samples of the mixture.

    Parameters
    ----------
    kind : {"coco", "scenes", "conversations", ...}
        A COCO file, generated scenes, a LLaVA file of conversations, or the name of a published data set
        (`psalm.data.datasets.DATASETS`).
    weight : float
        How often it is drawn, relative to the others.
    tasks : list of str
        The tasks that it serves; all when empty.
    share : float
        How much of every source's images is used, above 0 and at most 1.
    options : dict
        Arguments of the source (paths, split, sizes), in the words of `psalm.data`.
    """

    kind: Literal[
        "coco", "scenes", "conversations", "coco-panoptic", "coco-instances", "coco-semantic", "refcoco", "refcoco+",
        "refcocog", "grefcoco", "coco-interactive", "lvis", "ade20k", "cityscapes", "pascal-voc", "pascal-context-59",
        "pascal-context-459", "davis",
    ]  # fmt: skip
    weight: float = 1.0
    tasks: tuple[Task, ...] = ()
    share: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(f"share is {self.share}: give a number above 0, at most 1.")

    def serves(self, lesson: Lesson) -> bool:
        """Whether samples may be about a task, or are conversations."""
        talks = self.kind == "conversations"
        if talks or lesson == CONVERSATION:
            return talks and lesson == CONVERSATION
        return not self.tasks or lesson in self.tasks


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
    in_turn : bool
        Ask about one image after the other instead of drawing images by chance: for few images, each of which counts.
    tasks : list of str
    seed : int
    """

    data: tuple[DataConfig, ...] = ()
    every: int = 500
    samples: int = 32
    in_turn: bool = False
    tasks: tuple[Task, ...] = (Task.INSTANCE, Task.REFERRING, Task.INTERACTIVE)
    seed: int = 1


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
    precision : {"no", "bf16", "auto"}
        Of the forward pass (autocast); ``"auto"`` is bf16 where the processor or the accelerator computes in it.
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
    tensorboard : bool
        Also write every figure of the log for TensorBoard, to ``<output>/tensorboard``.
    """

    output: str
    data: tuple[DataConfig, ...]
    stages: tuple[StageConfig, ...]
    model: ModelConfig = field(default_factory=ModelConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    temper: float = 0.5
    seed: int = 0
    precision: Literal["no", "bf16", "auto"] = "no"
    device: str | None = None
    workers: int = 1
    threads: int = 0
    ema: float = 0.0
    log_every: int = 10
    save_every: int = 200
    cache_dir: str | None = None
    save_half: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if not self.data or not self.stages:
            raise ConfigError("A training config needs at least one entry in data and one in stages.")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema is {self.ema}: give a decay from 0 (off) to below 1.")
        if self.log_every < 1 or self.save_every < 1:
            raise ConfigError("log_every and save_every must be 1 or more.")
        for stage in self.stages:
            if stage.patience and not self.validation.data:
                raise ConfigError(f"Stage {stage.name!r} has patience, but nothing to judge by: set validation.data.")
            unasked = [task.value for task in stage.judged_by if task not in self.validation.tasks]
            if unasked:
                raise ConfigError(
                    f"Stage {stage.name!r} is judged by {', '.join(unasked)}, which validation does not ask: add it to "
                    "validation.tasks."
                )
            if self.ema and (stage.patience or stage.lora):
                raise ConfigError(f"Stage {stage.name!r}: an average (ema) goes with neither patience nor lora.")

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

    def shortened(self, share: float) -> TrainConfig:
        """The same run in little: a share of every stage's steps and of every source's images, in a folder of its own.

        Raises
        ------
        ConfigError
            When the share is not above 0 and at most 1.
        """
        return replace(
            self,
            output=f"{self.output}-share-{share:g}",
            data=tuple(replace(entry, share=entry.share * share) for entry in self.data),
            stages=tuple(stage.shortened(share) for stage in self.stages),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as YAML and JSON write them."""
        return to_plain(asdict(self))
