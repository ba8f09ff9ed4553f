"""The list of the full-size checkpoint's tensors."""

from __future__ import annotations

from typing import Any

import torch

from psalm.config import PSALMConfig
from psalm.errors import CheckpointError
from psalm.modeling.official_checkpoint import load_official_state_dict
from psalm.modeling.psalm import PSALM
from psalm.parity.findings import Finding, Findings


def compare_names(name: str, listed: dict[str, Any]) -> list[Finding]:
    """Whether the full-size model, built without memory, takes every tensor of the list and needs no other."""
    findings = Findings(name)
    with torch.device("meta"):
        model = PSALM(PSALMConfig())
        state = {key: torch.empty(entry["shape"]) for key, entry in listed["state_dict"].items()}
    try:
        load_official_state_dict(model, state)
        unexplained = 0
    except CheckpointError:
        unexplained = len(state)
    findings.count("names and shapes of all tensors", unexplained, "tensors")
    return findings.rows
