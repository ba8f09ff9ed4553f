"""Which parts of the model a stage trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase

from torch import nn

from psalm.errors import ConfigError


def matches(name: str, pattern: str) -> bool:
    """Whether a parameter's name is covered by the name pattern of a parameter or of a module that holds it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def refresh(model: nn.Module) -> None:
    """Put a model into evaluation mode; layers that keep derived tensors in that mode compute them anew.

    timm's TinyViT does so with its attention biases, and forgets them in training mode only.
    """
    model.train()
    model.eval()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within the block the model is in evaluation mode; afterwards every module has its own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    refresh(model)
    try:
        yield
    finally:
        for module, training in modes:
            module.train(training)


def train_only(model: nn.Module, patterns: Sequence[str], freeze: Sequence[str] = ()) -> list[str]:
    """Freeze everything but what the patterns name, and of that what `freeze` names.

    Modules all of whose parameters are trained are put into training mode, all others into evaluation mode, so that
    running statistics of frozen layers stand still.

    Returns
    -------
    list of str
        Names of the trained parameters.

    Raises
    ------
    ConfigError
        When a pattern names nothing.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in (*patterns, *freeze):
        if not any(matches(name, pattern) for name in names):
            parts = ", ".join(name for name, _ in model.named_children())
            raise ConfigError(f"No parameter of the model is named {pattern!r}; its parts are {parts}.")
    for name, parameter in model.named_parameters():
        wanted = any(matches(name, pattern) for pattern in patterns)
        parameter.requires_grad_(wanted and not any(matches(name, pattern) for pattern in freeze))
    refresh(model)
    for module in model.modules():
        own = list(module.parameters())
        if own and all(parameter.requires_grad for parameter in own):
            module.train()
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]
