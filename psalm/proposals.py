"""What the mask generator answers before decoding (PSALM, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MaskProposals:
    """Mask proposals of a batch and how well each meets each condition.

    Parameters
    ----------
    mask_logits : (B, Q, h, w) tensor
        One mask per query on the padded, square model image, usually at a quarter of its size.
    condition_logits : (B, Q, K) tensor
        Score of query q for condition k. Categories: K = number of names + 1, background last. A sentence: K = 1.
        Regions: K = number of regions. Rows of a batch with fewer conditions are padded; see `num_conditions`.
    num_conditions : tuple of int
        How many of the K columns are real, per image of the batch (the background counts). For categories the
        background stays the last real column of its row.
    quality : (B, Q) tensor, optional
        The generator's own estimate of each mask's IoU, 0 to 1, where it has one.
    """

    mask_logits: Tensor
    condition_logits: Tensor
    num_conditions: tuple[int, ...]
    quality: Tensor | None = None
