"""Gradients of every parameter, under the published names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from psalm.modeling.official_checkpoint import rename_official, to_our_names
from psalm.modeling.psalm import PSALM
from psalm.parity.findings import Findings, largest_difference

# Gradients that are zero but for rounding are compared with this share of the largest one.
_NOTHING = 1e-5


def compare_gradients(
    findings: Findings, model: PSALM, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Norms of the gradients of all parameters, and the gradients that are recorded in full."""
    parameters = dict(model.named_parameters())
    norms = facts["grad_norms"]
    floor = _NOTHING * max(norm for norm in norms.values() if norm is not None)
    worst, unexpected = 0.0, 0
    for name, norm in norms.items():
        ours = _norm([parameters[each] for each in rename_official(name) if each in parameters])
        if norm is None:
            unexpected += ours > 0
        else:
            worst = max(worst, abs(ours - norm) / max(norm, floor))
    findings.count("gradients where there are none", unexpected, "parameters")
    findings.relative(f"gradient norms of {len(norms)} parameters", worst)
    for key, theirs in tensors.items():
        if key.startswith("grad."):
            error = 0.0
            for name, expected in to_our_names(key.removeprefix("grad."), theirs, model.config.lm_heads).items():
                gradient = parameters[name].grad
                scale = max(float(expected.abs().max()), 1e-12)
                measured = torch.zeros_like(expected) if gradient is None else gradient
                error = max(error, largest_difference(measured, expected) / scale)
            findings.relative(f"gradient, {key.removeprefix('grad.')}", error)


def _norm(parameters: list[nn.Parameter]) -> float:
    squares = [float(p.grad.double().square().sum()) for p in parameters if p.grad is not None]
    return sum(squares) ** 0.5
