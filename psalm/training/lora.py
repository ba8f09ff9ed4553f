"""Additions of low rank to the language model, by peft."""

from __future__ import annotations

from typing import Any

from torch import nn

from psalm.errors import ConfigError
from psalm.modeling.language_model import LanguageModel
from psalm.training.config import LoraConfig

MARK = "lora_"


def add_lora(language_model: LanguageModel, settings: LoraConfig) -> None:
    """Give linear layers of the language model an addition that is zero at first.

    Raises
    ------
    ConfigError
        When peft is not installed, or no layer has one of the names.
    """
    peft = _peft()
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.modules),
    )
    try:
        peft.inject_adapter_in_model(config, language_model.model)
    except ValueError as error:
        raise ConfigError(f"lora.modules names no layer of the language model: {error}") from error


def has_lora(language_model: LanguageModel) -> bool:
    """Whether additions are there."""
    return any(MARK in name for name, _ in language_model.named_parameters())


def merge_lora(language_model: LanguageModel) -> None:
    """Add the additions to the weights that they belong to, and take them away."""
    if not has_lora(language_model):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(language_model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            base = module.get_base_layer()
            if not isinstance(base, nn.Module):
                raise TypeError(f"The layer {name} has no layer to merge into.")
            setattr(language_model.get_submodule(parent), child, base)


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise ConfigError("lora needs the package peft: pip install 'napari-psalm[train]'.") from None
    return peft
