"""Where a run's model and samples come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from psalm.checkpoint import load_model, read_weights
from psalm.conditions import Task
from psalm.config import PSALMConfig
from psalm.data.coco_samples import CocoSamples
from psalm.data.conversations import Conversations
from psalm.data.datasets import open_dataset
from psalm.data.mixture import Mixture, Samples
from psalm.data.scenes import SceneSamples
from psalm.data.subset import Subset
from psalm.errors import ConfigError
from psalm.modeling.psalm import PSALM
from psalm.training.config import CONVERSATION, DataConfig, Lesson, ModelConfig
from psalm.training.initial_weights import (
    read_backbone,
    read_mask2former,
    read_phi,
    read_projector,
    with_semantic_columns,
)


def build_model(settings: ModelConfig) -> tuple[PSALM, Any]:
    """The model and tokenizer that a run starts from, on the CPU.

    Raises
    ------
    ConfigError
        When there is no tokenizer, or weights do not fit the model.
    """
    start = load_model(settings.init, device="cpu") if settings.init else None
    known = start.config.to_dict() if start else {}
    config = PSALMConfig.from_dict(known | settings.config)
    if settings.tokenizer:
        tokenizer = read_tokenizer(settings.tokenizer)
    elif start:
        tokenizer = start.tokenizer
    else:
        raise ConfigError("The training config names no tokenizer: set model.tokenizer, or model.init.")
    if len(tokenizer) > config.vocab_size:
        raise ConfigError(
            f"The tokenizer has {len(tokenizer)} tokens, the model knows {config.vocab_size}: "
            f"set model.config.vocab_size to {len(tokenizer)} or more."
        )
    model = start.model if start and config == start.config else PSALM(config)
    if start and model is not start.model:
        load_partly(model, with_semantic_columns(start.model.state_dict(), model), settings.init or "")
    for given, read in (
        (settings.backbone, read_backbone),
        (settings.mask2former, read_mask2former),
        (settings.phi, read_phi),
        (settings.projector, read_projector),
    ):
        if given:
            load_partly(model, read(given, model), given)
    for path in settings.weights:
        load_partly(model, read_weights(path), path)
    return model, tokenizer


def load_partly(model: PSALM, state: dict[str, Any], path: str) -> None:
    """Load some of the model's tensors.

    Raises
    ------
    ConfigError
        When a tensor is not one of the model's, or of another shape.
    """
    expected = model.state_dict()
    for name, value in state.items():
        if name not in expected:
            raise ConfigError(f"{path} has {name}, which the model does not: choose other weights or model.config.")
        if value.shape != expected[name].shape:
            raise ConfigError(
                f"{path}: {name} is {tuple(value.shape)}, the model needs {tuple(expected[name].shape)}: "
                "choose other weights or model.config."
            )
    model.load_state_dict(state, strict=False)


def read_tokenizer(path: str) -> Any:
    """A tokenizer from its ``tokenizer.json`` or the folder that holds it.

    Raises
    ------
    ConfigError
        When there is none.
    """
    from transformers import PreTrainedTokenizerFast

    file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
    if not file.exists():
        raise ConfigError(f"There is no tokenizer {file}: correct model.tokenizer.")
    return PreTrainedTokenizerFast(tokenizer_file=str(file))


def open_samples(settings: DataConfig) -> Samples[Any]:
    """The collection that one entry of the data describes.

    Raises
    ------
    ConfigError
        When an option is unknown or missing.
    """
    own: dict[str, Callable[..., Any]] = {
        "coco": CocoSamples, "scenes": SceneSamples, "conversations": Conversations,
    }  # fmt: skip
    kind = own.get(settings.kind) or partial(open_dataset, settings.kind)
    try:
        samples = kind(**settings.options)
    except TypeError as error:
        raise ConfigError(f"The options of the data entry {settings.kind!r} do not fit: {error}.") from error
    return samples if settings.share == 1 else Subset(samples, settings.share)


def open_mixtures(
    data: Sequence[DataConfig],
    tasks: Sequence[Lesson],
    temper: float,
    change: Callable[[Samples[Any]], Samples[Any]] | None = None,
) -> dict[Lesson, Mixture[Any]]:
    """One mixture per task, and for conversations, of the collections that serve it.

    Parameters
    ----------
    data : sequence of DataConfig
    tasks : sequence of Task or "conversation"
    temper : float
        See `TrainConfig`.
    change : callable, optional
        What takes the place of a collection that serves one of the tasks, for example its description.

    Raises
    ------
    ConfigError
        When a task has no collection.
    """
    wanted = [entry for entry in data if any(entry.serves(task) for task in tasks)]
    opened: list[tuple[DataConfig, Samples[Any]]] = [(entry, open_samples(entry)) for entry in wanted]
    if change:
        opened = [(entry, change(samples)) for entry, samples in opened]
    mixtures: dict[Lesson, Mixture[Any]] = {}
    for task in dict.fromkeys(tasks):
        members = [(samples, entry.weight) for entry, samples in opened if entry.serves(task)]
        if not members and task == CONVERSATION:
            raise ConfigError("No entry of data has conversations: add one of kind 'conversations'.")
        if not members:
            raise ConfigError(f"No entry of data serves the task {Task(task).value}: add it to the tasks of one.")
        mixtures[task] = Mixture(members, temper)
    return mixtures
