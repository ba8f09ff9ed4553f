"""What a comparison finds, and how it is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

STAGE_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Finding:
    """One stage of one case.

    Parameters
    ----------
    case, stage : str
    error : float
        The largest absolute difference; where `unit` is given, the relative difference or a count.
    tolerance : float
        The largest error that still agrees.
    unit : str
        Empty for absolute differences.
    """

    case: str
    stage: str
    error: float
    tolerance: float
    unit: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the error is within tolerance; never for NaN."""
        return self.error <= self.tolerance


class Findings:
    """Collects the findings of one case.

    Parameters
    ----------
    case : str
    """

    def __init__(self, case: str) -> None:
        self.case = case
        self.rows: list[Finding] = []

    def numbers(self, stage: str, ours: Any, theirs: Any, tolerance: float = STAGE_TOLERANCE) -> None:
        """The largest absolute difference of two arrays or numbers; infinite when their shapes differ."""
        self.rows.append(Finding(self.case, stage, largest_difference(ours, theirs), tolerance))

    def recorded(self, stage: str, ours: Any, tensors: Mapping[str, Tensor], key: str) -> None:
        """`numbers` where `key` is recorded; nothing otherwise."""
        if key in tensors:
            self.numbers(stage, ours, tensors[key])

    def relative(self, stage: str, error: float, tolerance: float = GRADIENT_TOLERANCE) -> None:
        """A relative difference."""
        self.rows.append(Finding(self.case, stage, error, tolerance, "relative"))

    def count(self, stage: str, wrong: int, what: str) -> None:
        """A number of things that differ, of which none may."""
        self.rows.append(Finding(self.case, stage, float(wrong), 0.0, what))


def worst_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """One finding per case and kind of stage: of "masks, aux0", "masks, aux1", ... the one nearest to its tolerance.

    Whatever disagrees is kept.
    """
    worst: dict[tuple[str, str, str, bool], Finding] = {}
    for finding in findings:
        kind = finding.stage.partition(",")[0]
        key = (finding.case, kind if finding.agrees else finding.stage, finding.unit, finding.agrees)
        if key not in worst or finding.error > worst[key].error:
            worst[key] = finding
    return list(worst.values())


def largest_difference(ours: Any, theirs: Any) -> float:
    """Largest absolute difference; infinite for other shapes or where only one side is finite."""
    a, b = (torch.as_tensor(value).detach().cpu().double() for value in (ours, theirs))
    if a.shape != b.shape:
        return float("inf")
    if not a.numel():
        return 0.0
    difference = torch.where(a == b, 0.0, (a - b).abs())
    return float(torch.nan_to_num(difference, nan=float("inf")).max())
