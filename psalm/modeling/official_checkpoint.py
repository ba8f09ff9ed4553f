"""The published checkpoint: its tensors under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from psalm.errors import CheckpointError
from psalm.modeling.official_keys import is_unused, rename_vision
from psalm.modeling.psalm import PSALM

# Each row: a pattern over the whole official name, and our name.
_LANGUAGE_NAMES = (
    (r"model\.((?:embed_tokens|layers|final_layernorm)\..*)", r"language_model.model.\1"),
    (r"lm_head\.weight", r"language_model.lm_head.weight"),
    (r"seg_query_projector\.(.*)", r"query_projector.\1"),
    (r"class_name_projector\.(.*)", r"category_projector.\1"),
    (r"SEG_token_projector\.(.*)", r"sentence_projector.\1"),
    (r"region_projector\.(.*)", r"region_projector.\1"),
)


def load_official_state_dict(model: PSALM, state: Mapping[str, Tensor]) -> list[str]:
    """Load the published checkpoint's tensors, under their official names, into `model`.

    Parameters
    ----------
    model : PSALM
        Of the matching config; on the meta device it takes the given tensors as they are.
    state : mapping of str to tensor
        Query, key and value of the language model may be fused per head (as published) or separate.

    Returns
    -------
    list of str
        Official names that have no use in the model.

    Raises
    ------
    CheckpointError
        When tensors are left over, missing, or of another shape.
    """
    renamed: dict[str, Tensor] = {}
    unused, unknown = [], []
    for key, tensor in state.items():
        ours = to_our_names(key, tensor, model.config.lm_heads)
        if ours:
            renamed |= ours
        elif is_unused(key):
            unused.append(key)
        else:
            unknown.append(key)
    if unknown:
        raise CheckpointError(f"Not names of a PSALM checkpoint: {_some(unknown)}. Give the published checkpoint.")
    check_fit(model, renamed, "The checkpoint does not fit the config")
    model.load_state_dict(renamed, assign=next(model.parameters()).is_meta)
    return unused


def rename_official(key: str) -> tuple[str, ...]:
    """Our names for a published tensor: one, three where query, key and value are fused, none where it has no use."""
    name = rename_vision(key) or _rename_language(key)
    if name is None:
        return ()
    if ".query_key_value." not in name:
        return (name,)
    return tuple(name.replace("query_key_value", projection) for projection in ("q_proj", "k_proj", "v_proj"))


def to_our_names(key: str, tensor: Tensor, heads: int) -> dict[str, Tensor]:
    """A published tensor under our names; the rows of fused queries, keys and values are interleaved per head."""
    names = rename_official(key)
    if len(names) <= 1:
        return dict.fromkeys(names, tensor)
    parts = tensor.unflatten(0, (heads, len(names), -1)).unbind(1)
    return {name: part.flatten(0, 1) for name, part in zip(names, parts, strict=True)}


def _rename_language(key: str) -> str | None:
    for pattern, name in _LANGUAGE_NAMES:
        match = re.fullmatch(pattern, key)
        if match:
            return match.expand(name)
    return None


def check_fit(model: PSALM, state: Mapping[str, Tensor], what: str) -> None:
    """Make sure that `state` holds exactly the tensors of `model`.

    Raises
    ------
    CheckpointError
        Naming what is missing, left over or of another shape; the message begins with `what`.
    """
    expected = model.state_dict()
    faults = {
        "missing": [name for name in expected if name not in state],
        "left over": [name for name in state if name not in expected],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in expected
            if name in state and state[name].shape != expected[name].shape
        ],
    }
    listed = "; ".join(f"{fault}: {_some(names)}" for fault, names in faults.items() if names)
    if listed:
        raise CheckpointError(f"{what} ({listed}). Use the config that the weights were made with.")


def _some(names: list[str], limit: int = 20) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
