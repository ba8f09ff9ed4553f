"""Weights that were saved before the model had all of its present parts."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from psalm.modeling.sameness import Sameness

_OF_TWO_WAY = "mask_generator.seed_head.out.weight"  # no other mask generator has it
_SAMENESS = "mask_generator.sameness."


def completed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a model of ours with what they lack because they are older.

    Small models once followed objects by fixed weights. Those are what `Sameness` begins with, so an older model
    follows as it did. Where part of `Sameness` is there, the file is damaged rather than old, and nothing is added.

    Parameters
    ----------
    state : mapping of str to tensor
        Under our names.
    """
    like = state.get(_OF_TWO_WAY)
    if like is None or any(name.startswith(_SAMENESS) for name in state):
        return dict(state)
    begun_with = Sameness().requires_grad_(False).state_dict()
    return dict(state) | {f"{_SAMENESS}{name}": tensor.to(like) for name, tensor in begun_with.items()}
