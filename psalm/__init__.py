"""PSALM: one model that segments what a class list, a sentence or a mark on the image asks for.

The public names below are resolved when first used, so that ``import psalm`` loads neither torch nor a model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psalm.annotations import Annotations, Category
    from psalm.checkpoint import load_model, save_model
    from psalm.coco import read_coco, write_coco
    from psalm.conditions import CategoryCondition, SentenceCondition, Task, VisualPriorCondition
    from psalm.config import PSALMConfig
    from psalm.errors import (
        AnnotationError,
        CheckpointError,
        ConditionError,
        ConfigError,
        ImageError,
        OutputError,
        PSALMError,
        StoreError,
    )
    from psalm.images import read_image
    from psalm.overlay import draw_overlay
    from psalm.predictor import PSALMPredictor
    from psalm.store import AnnotationStore

__version__ = "0.1.0"

_MODULE_OF = {
    "AnnotationError": "errors",
    "AnnotationStore": "store",
    "Annotations": "annotations",
    "Category": "annotations",
    "CategoryCondition": "conditions",
    "CheckpointError": "errors",
    "ConditionError": "errors",
    "ConfigError": "errors",
    "ImageError": "errors",
    "OutputError": "errors",
    "PSALMConfig": "config",
    "PSALMError": "errors",
    "PSALMPredictor": "predictor",
    "SentenceCondition": "conditions",
    "StoreError": "errors",
    "Task": "conditions",
    "VisualPriorCondition": "conditions",
    "draw_overlay": "overlay",
    "load_model": "checkpoint",
    "read_coco": "coco",
    "read_image": "images",
    "save_model": "checkpoint",
    "write_coco": "coco",
}

__all__ = [
    "AnnotationError",
    "AnnotationStore",
    "Annotations",
    "Category",
    "CategoryCondition",
    "CheckpointError",
    "ConditionError",
    "ConfigError",
    "ImageError",
    "OutputError",
    "PSALMConfig",
    "PSALMError",
    "PSALMPredictor",
    "SentenceCondition",
    "StoreError",
    "Task",
    "VisualPriorCondition",
    "draw_overlay",
    "load_model",
    "read_coco",
    "read_image",
    "save_model",
    "write_coco",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'psalm' has no attribute {name!r}")
    value = getattr(import_module(f"psalm.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
