"""Learn from the frames of clips which draft shows an object of the frame before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from psalm.data.clips import Clip
from psalm.errors import AnnotationError
from psalm.modeling.sameness import Sameness
from psalm.predictor import PSALMPredictor
from psalm.video.followers import DraftFollower

_SHOWN = 0.3  # IoU of the best draft below which no draft shows the object
_CHOICE, _RATE, _DECAY, _JUDGEMENT = 20.0, 0.05, 0.0005, 0.5


@dataclass(frozen=True)
class FramePair:
    """An object in two frames, and the drafts of the later one.

    Parameters
    ----------
    evidence : (Q, 12) tensor
        What speaks for each draft, as `psalm.appearance.evidence` gives it.
    overlap : (Q,) tensor
        IoU of each draft with the object.
    share : float
        How much the pair counts beside others.
    """

    evidence: Tensor
    overlap: Tensor
    share: float = 1.0

    def chosen(self, sameness: Sameness) -> float:
        """IoU of the draft that is taken for the object."""
        with torch.no_grad():
            return float(self.overlap[sameness(self.evidence).argmax()])


def frame_pairs(predictor: PSALMPredictor, clip: Clip, share: float = 1.0) -> Iterator[FramePair]:
    """Every object of a clip in every frame after its first.

    Objects are looked for as `psalm.video` does it, but with the true masks as memory.
    """
    follower, known = DraftFollower(predictor), set[int]()
    for frame, label in zip(clip.frames, clip.labels, strict=True):
        follower.open(frame)
        if known:
            found = follower.candidates(sorted(known))
            for i, told in zip(sorted(known), found.evidence, strict=True):
                if len(told):
                    yield FramePair(told.cpu(), follower.overlap(found.logits > 0, label == i).cpu(), share)
        here = {int(i): label == i for i in np.unique(label) if i}
        if here:
            follower.remember(here)
        gone = {i: np.zeros((1, 1), dtype=bool) for i in known - here.keys()}
        follower.locate(here | gone)
        known |= here.keys()


def fit_sameness(pairs: Sequence[FramePair], steps: int = 800) -> Sameness:
    """Weights by which the drafts that overlap an object best are the likeliest, and logits tell that overlap.

    Parameters
    ----------
    pairs : sequence of FramePair
    steps : int
        Of the optimiser, each over all pairs.

    Raises
    ------
    AnnotationError
        When there are no pairs.
    """
    if not pairs:
        raise AnnotationError("No clip shows a labelled object in two frames: give clips with several labelled frames.")
    told, overlap = (
        pad_sequence([getattr(pair, name) for pair in pairs], batch_first=True) for name in ("evidence", "overlap")
    )
    there = torch.arange(told.shape[1]) < torch.tensor([len(pair.overlap) for pair in pairs])[:, None]
    share = torch.tensor([pair.share for pair in pairs])
    mean, deviation = told[there].mean(0), told[there].std(0).clamp(min=1e-6)
    standard = (told - mean) / deviation
    learnt = Sameness()
    for parameter in learnt.parameters():
        torch.nn.init.zeros_(parameter)
    optimiser = torch.optim.Adam(learnt.parameters(), lr=_RATE)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (_losses(learnt(standard), overlap, there) * share).sum() / share.sum()
        (loss + _DECAY * learnt.weight.square().sum()).backward()
        optimiser.step()
    with torch.no_grad():
        learnt.weight.div_(deviation)
        learnt.bias.sub_(learnt.weight @ mean)
    return learnt


def _losses(logits: Tensor, overlap: Tensor, there: Tensor) -> Tensor:
    """The loss (P,) of each pair from logits and IoU (P, Q) of its drafts, as many as are there."""
    # The best drafts are to be chosen, where there is one; logits are to say how well a draft overlaps the object.
    good = (_CHOICE * overlap).masked_fill(~there, -torch.inf).softmax(1) * (overlap.amax(1, keepdim=True) > _SHOWN)
    choice = logits.masked_fill(~there, -1e4).log_softmax(1)
    weight = (0.2 + overlap) * there / there.sum(1, keepdim=True)
    judged = F.binary_cross_entropy_with_logits(logits, overlap, weight=weight, reduction="none").sum(1)
    return _JUDGEMENT * judged - (good * choice).sum(1)
