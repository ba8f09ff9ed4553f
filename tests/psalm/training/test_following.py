"""Frame pairs are those of the follower itself, and a rule that decides them is found."""

from __future__ import annotations

import pytest
import torch

from psalm.data.clips import draw_clip
from psalm.errors import AnnotationError
from psalm.modeling.psalm import PSALM
from psalm.modeling.sameness import EVIDENCE, Sameness
from psalm.predictor import PSALMPredictor
from psalm.training.following import FramePair, fit_sameness, frame_pairs
from tests.psalm.modeling.builders import two_way_config

TELLING = 7  # the one number of a draft that decides


class Letters:
    """A tokenizer with one token per letter."""

    def get_vocab(self) -> dict[str, int]:
        return {"[SEG]": 390}

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [ord(letter) % 128 for letter in text]


def planted(count: int, seed: int, share: float = 1.0, sign: float = 1.0) -> list[FramePair]:
    """Pairs of 5 to 8 drafts of which the one with the largest (or smallest) telling number shows the object."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for i in range(count):
        evidence = 0.1 * torch.randn(5 + i % 4, EVIDENCE, generator=generator) - 3
        overlap = torch.full((len(evidence),), 0.1)
        overlap[(sign * evidence[:, TELLING]).argmax()] = 0.9
        pairs.append(FramePair(evidence, overlap, share))
    return pairs


def test_a_planted_rule_is_recovered() -> None:
    learnt, unseen = fit_sameness(planted(80, seed=0), steps=300), planted(40, seed=1)
    others = [i for i in range(EVIDENCE) if i != TELLING]
    assert learnt.weight[TELLING] > 5 * learnt.weight[others].abs().max()
    assert sum(pair.chosen(learnt) for pair in unseen) / len(unseen) > 0.85
    assert sum(pair.chosen(Sameness()) for pair in unseen) / len(unseen) < 0.75


def test_logits_say_how_well_a_draft_overlaps_the_object() -> None:
    learnt = fit_sameness(planted(80, seed=0), steps=300)
    with torch.no_grad():
        scores = torch.cat([learnt(pair.evidence).sigmoid() for pair in planted(40, seed=1)])
    overlap = torch.cat([pair.overlap for pair in planted(40, seed=1)])
    assert scores[overlap > 0.5].mean() > 0.6 > 0.4 > scores[overlap < 0.5].mean()


def test_pairs_count_as_much_as_they_say() -> None:
    for share, other in ((1.0, 0.05), (0.05, 1.0)):
        pairs = [*planted(40, seed=0, share=share), *planted(40, seed=1, share=other, sign=-1.0)]
        assert (fit_sameness(pairs, steps=200).weight[TELLING] > 0) == (share > other)


def test_without_pairs_there_is_nothing_to_learn() -> None:
    with pytest.raises(AnnotationError, match="two frames"):
        fit_sameness([])


def test_every_object_of_a_clip_is_looked_for_in_every_later_frame() -> None:
    torch.manual_seed(0)
    predictor, clip = PSALMPredictor(PSALM(two_way_config()), Letters()), draw_clip(3, 3)  # type: ignore[arg-type]
    pairs = list(frame_pairs(predictor, clip, share=0.5))
    assert 0 < len(pairs) <= 2 * clip.labels[0].max()
    for pair in pairs:
        assert pair.evidence.shape == (len(pair.overlap), EVIDENCE) and pair.share == 0.5
        assert 0 <= float(pair.overlap.min()) <= float(pair.overlap.max()) <= 1
