"""The records that travel between the parts of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from psalm.conditions import RegionKind
from psalm.prompts import ConditionKind
from psalm.proposals import MaskProposals

if TYPE_CHECKING:
    from psalm.modeling.language_model import PrefixCache


@dataclass(frozen=True)
class Regions:
    """The visual priors of one image on the model image.

    Parameters
    ----------
    masks : (R, S, S) tensor of bool
        One mask per region on the padded, square model image.
    kinds : tuple of str
        How each was drawn.
    marks : tuple of (R, 4, 2) and (R, 4) tensors, optional
        Points of the regions, as `psalm.modeling.prior_encoder.marks_of` gives them, where they were found beforehand:
        it takes a processor longer than a GPU needs for all that follows.
    """

    masks: Tensor
    kinds: tuple[RegionKind, ...]
    marks: tuple[Tensor, Tensor] | None = None

    def to(self, device: torch.device | str) -> Regions:
        """The same on another device."""
        marks = self.marks and (self.marks[0].to(device), self.marks[1].to(device))
        return Regions(self.masks.to(device), self.kinds, marks)

    def select(self, rows: Sequence[int]) -> Regions:
        """The regions at these positions."""
        index = torch.tensor(rows, dtype=torch.long, device=self.masks.device)
        marks = self.marks and (self.marks[0][index], self.marks[1][index])
        return Regions(self.masks[index], tuple(self.kinds[row] for row in rows), marks)

    @classmethod
    def join(cls, parts: Sequence[Regions]) -> Regions:
        """The regions of several images, one after the other."""
        known = [part.marks for part in parts if part.marks is not None]
        marks = None
        if len(known) == len(parts):
            marks = torch.cat([points for points, _ in known]), torch.cat([labels for _, labels in known])
        kinds = tuple(kind for part in parts for kind in part.kinds)
        return cls(torch.cat([part.masks for part in parts]), kinds, marks)

    def between(self, start: int, stop: int) -> Regions:
        """Some of the regions, in their order: fewer where there are not as many."""
        marks = self.marks and (self.marks[0][start:stop], self.marks[1][start:stop])
        return Regions(self.masks[start:stop], self.kinds[start:stop], marks)


@dataclass(frozen=True)
class ImageFeatures:
    """All that depends on the images alone, computed once.

    Parameters
    ----------
    pyramid : tuple of (B, C_i, h_i, w_i) tensors
        Backbone levels res2 to res5, finest first.
    image_tokens : (B, T, lm_hidden) tensor
        What the language model sees of the image (row-major grid).
    generator : dict of tensors
        What the mask generator keeps of an image; each has a leading B.
    prefixes : dict of PrefixCache
        What the language model has read of these images and an instruction, by the tokens that were read.
    """

    pyramid: tuple[Tensor, ...]
    image_tokens: Tensor
    generator: dict[str, Tensor] = field(default_factory=dict)
    prefixes: dict[tuple[int, ...], PrefixCache] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory that is held for the images."""
        tensors = (*self.pyramid, self.image_tokens, *self.generator.values())
        return sum(tensor.nbytes for tensor in tensors) + sum(prefix.nbytes for prefix in self.prefixes.values())


@dataclass(frozen=True)
class Draft:
    """What the mask generator gives to the language model before it has spoken.

    Parameters
    ----------
    tokens : (B, Q, lm_hidden) tensor
        The mask tokens.
    region_tokens : (B, R, lm_hidden) tensor, optional
        Embeddings of the visual priors, where the generator makes its own (R is padded to the largest of the batch);
        otherwise the model pools them from the projected image.
    state : dict of tensors
        What the generator needs again when it finishes.
    counts : tuple of int, optional
        How many of the Q mask tokens of each image are real, where they differ; the others stay out of the sequence.
    """

    tokens: Tensor
    region_tokens: Tensor | None = None
    state: dict[str, Any] = field(default_factory=dict)
    counts: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ConditionEmbeddings:
    """Condition embeddings after the language model, projected to the width of the mask generator.

    Parameters
    ----------
    embeddings : (B, K, hidden_dim) tensor
        Padded with zeros to the longest of the batch.
    num_conditions : tuple of int
        Real rows per image.
    kind : {"categories", "sentence", "regions"}
    """

    embeddings: Tensor
    num_conditions: tuple[int, ...]
    kind: ConditionKind


class MaskGenerator(Protocol):
    """The part outside the language model that turns mask tokens into masks."""

    def encode(self, pyramid: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """What can be computed from the image alone (for Mask2Former, the pixel decoder)."""

    def draft(self, features: ImageFeatures, regions: Sequence[Regions] | None) -> Draft:
        """The mask tokens that enter the language model."""

    def __call__(
        self, features: ImageFeatures, draft: Draft, queries: Tensor, conditions: ConditionEmbeddings
    ) -> list[MaskProposals]:
        """Proposals from the mask tokens' projected output states (B, Q, hidden_dim); the final ones come last.

        All but the last are the auxiliary predictions for deep supervision.
        """
