"""Fixed position encoding of feature maps (Carion et al., 2020, appendix A.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sine_position_encoding(
    size: tuple[int, int],
    dim: int,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    temperature: float = 10000.0,
) -> Tensor:
    """Sines and cosines of the row, then of the column, both scaled to one turn over the map.

    Parameters
    ----------
    size : (rows, columns)
        Size of the feature map.
    dim : int
        Channels; a multiple of 4. The first half encodes the row, the second the column.
    device : torch.device, optional
        Where to make it.
    dtype : torch.dtype
        Type of the result; it is computed in float32.
    temperature : float
        Ratio of the longest wavelength to the shortest.

    Returns
    -------
    (rows * columns, dim) tensor
        In row-major order.
    """
    half = dim // 2
    pairs = torch.arange(half, device=device, dtype=torch.float32).div(2, rounding_mode="floor")
    wavelengths = temperature ** (2 * pairs / half)

    def encode(length: int) -> Tensor:
        steps = torch.arange(1, length + 1, device=device, dtype=torch.float32)
        angles = (steps / (length + 1e-6) * 2 * math.pi)[:, None] / wavelengths
        return torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), dim=2).flatten(1)

    rows, columns = size
    row = encode(rows)[:, None].expand(rows, columns, half)
    column = encode(columns)[None].expand(rows, columns, half)
    return torch.cat((row, column), dim=2).flatten(0, 1).to(dtype)
