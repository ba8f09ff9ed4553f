"""``psalm info``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from psalm import __version__
from psalm.cli.console import DeviceOption, ModelOption, Precision, PrecisionOption, console, open_predictor
from psalm.known_names import KnownNames

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

_PACKAGES = ("torch", "timm", "transformers", "napari")


def info(
    model: ModelOption = "psalm-tiny",
    device: DeviceOption = None,
    precision: PrecisionOption = Precision.FLOAT32,
) -> None:
    """Say which model, device and versions are used, and what the model's limits are."""
    _show("Versions", {"psalm": __version__, "Python": platform.python_version()} | _versions())
    predictor = open_predictor(model, device, precision)
    _show("Model", _model(predictor))
    _show("Limits", _limits(predictor))
    names = KnownNames.from_info(predictor.info).names
    if names:
        console.print(f"[bold]Names it was trained with[/] ({len(names)})")
        console.print(escape(", ".join(sorted(names))), highlight=False)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _model(predictor: PSALMPredictor) -> dict[str, str]:
    parameters = list(predictor.model.parameters())
    config = predictor.config
    return {
        "name": config.name,
        "parameters": f"{sum(parameter.numel() for parameter in parameters) / 1e6:.1f} million",
        "precision": _precision(predictor),
        "device": str(predictor.device),
        "backbone": config.backbone,
        "mask generator": config.mask_generator,
    } | {key: str(predictor.info[key]) for key in ("version", "licence", "license") if key in predictor.info}


def _precision(predictor: PSALMPredictor) -> str:
    model = predictor.model
    tensors = [*model.parameters(), *model.buffers()]
    kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors if tensor.ndim > 1})
    return f"{', '.join(kinds)} ({sum(tensor.nbytes for tensor in tensors) / 1e6:.0f} MB)"


def _limits(predictor: PSALMPredictor) -> dict[str, str]:
    config = predictor.config
    objects = config.num_mask_tokens if config.mask_generator == "mask2former" else config.num_seeds
    return {
        "image": f"resized so that its longer side has {config.image_size} pixels",
        "objects": f"at most {objects} per question",
        "prompt": f"at most {config.max_length} tokens, image and mask tokens included",
        "least score": f"{predictor.thresholds.score:g}",
    }


def _show(title: str, rows: dict[str, str]) -> None:
    console.print(f"[bold]{title}[/]")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(name, escape(value))
    console.print(table, highlight=False)
    console.print()
