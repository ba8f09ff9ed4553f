"""Weights that were saved before the model had all of its present parts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from psalm.modeling.sameness import Sameness

_OF_TWO_WAY = "mask_generator.seed_head.out.weight"  # no other mask generator has it
_SAMENESS, _FINE_MASKS = "mask_generator.sameness.", "mask_generator.fine_masks."


def completed(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model of ours with what they lack because they are older.

    Small models once followed objects by fixed weights. Those are what `Sameness` begins with, so an older model
    follows as it did. And they drew no outlines anew, which is what `FineMasks` of zeros do. Where some of a part is
    there, the file is damaged rather than old, and nothing is added.

    Parameters
    ----------
    state : mapping of str to tensor
        Under our names.
    model : nn.Module
        Whose weights they are to be; its own may be without memory.
    """
    like = state.get(_OF_TWO_WAY)
    if like is None:
        return dict(state)
    begun_with = {
        f"{_SAMENESS}{name}": tensor for name, tensor in Sameness().requires_grad_(False).state_dict().items()
    }
    added: dict[str, Tensor] = {}
    for part in (_SAMENESS, _FINE_MASKS):
        if not any(name.startswith(part) for name in state):
            names = [name for name in model.state_dict() if name.startswith(part)]
            added |= {name: begun_with.get(name, torch.zeros(model.get_parameter(name).shape)) for name in names}
    return dict(state) | {name: tensor.to(like) for name, tensor in added.items()}
