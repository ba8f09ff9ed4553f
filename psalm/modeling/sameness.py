"""Whether a drafted mask shows an object of an earlier frame: the part of the small model that is learnt from clips."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# What a generator begins with; fitted to the frame pairs of DAVIS 2016 and of generated clips.
_FIRST = (8.4, 32.9, 107.6, -0.4, 0.9)
_LAST = (2.1, 33.4, 107.5, 4.5, -1.0)
_QUALITY, _NEAR = 4.4, 3.9
_BIAS = -0.23
EVIDENCE = len(_FIRST) + len(_LAST) + 2


class Sameness(nn.Module):
    """A weighted sum of what speaks for the same object.

    It begins with weights that serve any small model; `tools/learn_following.py` fits them to one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([*_FIRST, *_LAST, _QUALITY, _NEAR]))
        self.bias = nn.Parameter(torch.tensor([_BIAS]))

    def forward(self, evidence: Tensor) -> Tensor:
        """Logits (...) from evidence (..., EVIDENCE), as `psalm.appearance.evidence` gives it; in its precision."""
        return evidence @ self.weight.to(evidence) + self.bias.to(evidence)
