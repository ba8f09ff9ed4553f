"""Steps of a forward pass on a processor, a part at a time, so that what lies between them stays in its cache.

Blocks of memory beyond the cache cost more than the arithmetic of a transformer in bfloat16: the system hands out fresh
pages for each. Where gradients are wanted or the device is another, everything is done at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_ROOM, _EXACT_ROOM = 2**20, 2**22
"""How many numbers between two steps are held at a time; products in float32 reach their rate with more."""


def is_apart(tensor: Tensor) -> bool:
    """Whether steps that start from this tensor are taken a part at a time."""
    return tensor.device.type == "cpu" and not torch.is_grad_enabled()


def by_rows(step: Callable[..., Tensor], width: int, *tensors: Tensor) -> Tensor:
    """A step that treats every row on its own.

    Parameters
    ----------
    step : callable
        From tensors (B, n, ...) to (B, n, dim).
    width : int
        How many numbers the step makes of a row on its way.
    tensors : (B or 1, N, ...) tensors
        What the step starts from.

    Returns
    -------
    (B, N, dim) tensor
    """
    if not is_apart(tensors[0]):
        return step(*tensors)
    room = _ROOM if tensors[0].dtype == torch.bfloat16 else _EXACT_ROOM
    rows = max(room // (width * len(tensors[0])), 1)
    parts = zip(*(tensor.split(rows, dim=1) for tensor in tensors), strict=True)
    return torch.cat([step(*part) for part in parts], dim=1)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """torch's `scaled_dot_product_attention`, which processors compute in half the time as products of matrices.

    Parameters
    ----------
    query : (B, heads, L, width) tensor
    key, value : (B, heads, S, width) tensors
    mask : tensor that expands to (B, heads, L, S), optional
        Added to the scores, or where they count if it is of bool.
    causal : bool
        Each query sees the keys up to its own; needs a mask of None.

    Returns
    -------
    (B, heads, L, width) tensor
    """
    # Single precision gains little, and keeps the bits that it had.
    if not is_apart(query) or query.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    batch, heads, length, width = query.shape
    scores_of_head = length * key.shape[2]
    some_heads = min(max(_ROOM // scores_of_head, 1), heads)
    some = max(_ROOM // (scores_of_head * heads), 1)
    added = _added(query, key, mask, causal).expand(batch, heads, -1, -1)
    out = query.new_empty(batch, length, heads, width).transpose(1, 2)
    for start in range(0, batch, some):
        for head in range(0, heads, some_heads):
            part = slice(start, start + some), slice(head, head + some_heads)
            # Of anything else than whole blocks the product makes copies of its own, which take longer.
            q, k, v = (tensor[part].flatten(0, 1).contiguous() for tensor in (query, key, value))
            scores = added[part].clone(memory_format=torch.contiguous_format).flatten(0, 1)
            scores.baddbmm_(q, k.transpose(1, 2), alpha=width**-0.5)
            out[part] = _weighted(scores, v).view_as(out[part])
    return out


def _weighted(scores: Tensor, value: Tensor) -> Tensor:
    """What the softmax of scores (n, L, S) makes of values (n, S, width)."""
    # Powers take a third of the time of a softmax. They serve where none leaves the range of numbers, nor all of a row.
    powers = scores.exp()
    totals = powers.sum(dim=-1, keepdim=True)
    least, most = totals.aminmax()
    if least > 1e-30 and most < 1e30:
        return torch.bmm(powers, value).div_(totals)
    return torch.bmm(scores.softmax(-1), value)


def _added(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """What is added to the scores, (B or 1, heads or 1, L, S)."""
    shape = (query.shape[2], key.shape[2])
    if causal:
        mask = torch.ones(shape, dtype=torch.bool).tril()[None, None]
    if mask is None:
        return query.new_zeros(shape)[None, None]
    if mask.dtype == torch.bool:
        return query.new_zeros(mask.shape).masked_fill_(~mask, -torch.inf)
    return mask
