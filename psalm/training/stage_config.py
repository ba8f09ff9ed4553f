"""What one stage of a training run does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from psalm.conditions import Task
from psalm.errors import ConfigError

# Text about an image is learnt beside the tasks, but nobody segments with it.
Talk = Literal["conversation"]
Lesson = Task | Talk
CONVERSATION: Talk = "conversation"


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

    @property
    def active(self) -> bool:
        """Whether any term has a weight."""
        masks = self.mask_loss and (self.mask_weight > 0 or self.dice_weight > 0)
        return masks or self.condition_weight > 0


@dataclass(frozen=True)
class LoraConfig:
    """Additions of low rank to the language model.

    Parameters
    ----------
    rank : int
    alpha : float
        The additions are scaled by ``alpha / rank``.
    dropout : float
    modules : list of str
        Names of the linear layers that get one.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2")

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"lora.rank is {self.rank}: give 1 or more, or leave lora out.")


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
    conversations : int
        Micro batches of conversations in every step, beside the tasks (PSALM, section 3.3).
    one_task : bool
        Every step has a single task; the tasks take turns in the ratio of their counts, as in the published training.
    accumulate : int
        So many times the micro batches in every step, for a larger batch in the same memory.
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
    freeze : list of str
        Name patterns of what stays frozen all the same.
    lora : LoraConfig, optional
        The language model keeps its weights and learns additions of low rank, which are merged into it at the end of
        the stage.
    checkpointing : bool
        Compute the language model's layers again on the way back instead of keeping what they made: less memory, about
        a third more time.
    patience : int
        After so many validations without a better mean over the images the stage ends, and its best weights are kept;
        those that it began with only where the others are clearly worse, by two standard errors. 0 is off.
    judged_by : list of str
        Tasks of the validation that this stage is measured by; all of them when empty. A part that cannot better a task
        would be judged by its noise.
    cache : bool
        Keep the features of an image on disk; needs a frozen encoder.
    variants : int
        Copies of each image that are drawn, from `first_variant` on; 0 is without limit. Few with `cache`. A
        described stage describes each of them once, at least the first.
    first_variant : int
        Number of the first of these copies; 0 is the unchanged image. What is learnt from looks that no stage before
        has seen does not rely on what those stages know by heart.
    described : bool
        Ask about descriptions of the images' drafts instead of pixels: names and sentences are then learnt at the cost
        of the language model alone. Needs a frozen encoder and projector; not for the interactive task.
    questions : int
        Questions about each image of a batch; a described stage reads what they have in common only once.
    seed_weight : float
        Weight of the mask generator's loss on where it looks for objects, on panoptic batches; 0 is off.
    draft_weight : float
        Weight of the loss of what the two-way generator drafts around visual priors, on interactive batches; 0 is off.
    hold_states : bool
        With `draft_weight`: whether what the decoder says of drafts on labelled objects stays what it was, for a
        language side that has learnt to read it. Where that learns afterwards, false leaves clicks free to learn.
    look_alone : float
        Share of the class lists that are answered from what the semantic backbone sees alone, from 0, which is off, to
        below 1. What the language model has learnt of an image by heart leaves the rest little to learn, and tells
        nothing of another image. For the two-way generator with a semantic backbone.
    learnt_share : float
        How much of the way from the weights that the stage begins with to those that it learns is taken at its end,
        above 0, at most 1. Half of it keeps more of what was known before (Wortsman et al., Robust fine-tuning of
        zero-shot models, CVPR 2022).
    criterion : CriterionConfig
    """

    name: str
    steps: int
    batch_size: int = 4
    tasks: dict[Task, int] = field(default_factory=lambda: {Task.INSTANCE: 1, Task.REFERRING: 1, Task.INTERACTIVE: 1})
    conversations: int = 0
    one_task: bool = False
    accumulate: int = 1
    lr: float = 6e-5
    lr_scale: dict[str, float] = field(default_factory=dict)
    warmup: float = 0.03
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 0.0
    clip: float = 1.0
    train: tuple[str, ...] = ("*",)
    freeze: tuple[str, ...] = ()
    lora: LoraConfig | None = None
    checkpointing: bool = False
    patience: int = 0
    judged_by: tuple[Task, ...] = ()
    cache: bool = False
    variants: int = 0
    first_variant: int = 0
    described: bool = False
    questions: int = 1
    seed_weight: float = 0.0
    draft_weight: float = 0.0
    hold_states: bool = True
    look_alone: float = 0.0
    learnt_share: float = 1.0
    criterion: CriterionConfig = field(default_factory=CriterionConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.questions, self.accumulate) < 1:
            raise ConfigError(f"Stage {self.name!r}: steps, batch_size, questions and accumulate must be 1 or more.")
        counts = [*self.tasks.values(), self.conversations]
        if min(counts) < 0 or not any(counts):
            raise ConfigError(
                f"Stage {self.name!r}: tasks needs at least one task with a count of 1 or more, or set conversations."
            )
        if self.cache and not self.variants:
            raise ConfigError(f"Stage {self.name!r}: with cache, set variants to 1 or more, or the cache has no end.")
        if self.first_variant < 0 or (self.first_variant and not self.variants):
            first = self.first_variant
            raise ConfigError(f"Stage {self.name!r}: first_variant is {first}; give 0, or set variants as well.")
        if self.described and self.tasks.get(Task.INTERACTIVE, 0):
            raise ConfigError(f"Stage {self.name!r}: a described stage has no interactive task; take it out of tasks.")
        if not 0 <= self.look_alone < 1:
            raise ConfigError(f"Stage {self.name!r}: look_alone is {self.look_alone}; give 0 or more, below 1.")
        if not 0 < self.learnt_share <= 1:
            raise ConfigError(f"Stage {self.name!r}: learnt_share is {self.learnt_share}; give more than 0, at most 1.")
        if self.learnt_share < 1 and (self.patience or self.lora):
            raise ConfigError(f"Stage {self.name!r}: learnt_share goes with neither patience nor lora; leave it out.")
        if not self.train:
            raise ConfigError(f"Stage {self.name!r}: train is empty; name what is trained, for example ['*'].")

    def shortened(self, share: float) -> StageConfig:
        """The same stage with a share of its steps; a warm-up that is counted in steps shrinks with them."""
        warmup = self.warmup if self.warmup < 1 else max(self.warmup * share, 1)
        return replace(self, steps=max(round(self.steps * share), 1), warmup=warmup)

    @property
    def looks_back(self) -> bool:
        """Whether what the stage began with is needed until its end."""
        return self.draft_weight > 0 or self.learnt_share < 1

    @property
    def variant_numbers(self) -> range:
        """Which copies of each image the stage draws, where their number has a limit."""
        return range(self.first_variant, self.first_variant + max(1, self.variants))

    @property
    def micro_batches(self) -> tuple[Lesson, ...]:
        """What each micro batch of a step is about; with `one_task`, what the steps are about in turn."""
        tasks: tuple[Lesson, ...] = tuple(task for task, count in self.tasks.items() for _ in range(count))
        return tasks + (CONVERSATION,) * self.conversations

    @property
    def per_step(self) -> int:
        """Micro batches per step."""
        return self.accumulate * (1 if self.one_task else len(self.micro_batches))

    def lesson(self, position: int) -> Lesson:
        """What micro batch `position`, counted from the start of the stage, is about."""
        lessons = self.micro_batches
        if self.one_task:
            position //= self.per_step
        return lessons[position % len(lessons)]
