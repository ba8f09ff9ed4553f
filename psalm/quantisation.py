"""The language model in 8 bits: half the memory of bfloat16, and whole numbers to multiply."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LARGEST = 127


class Int8Linear(nn.Module):
    """A linear layer whose weight is held as 8-bit whole numbers, one scale per output; inputs get one scale per row.

    It is made from a trained layer, and learns nothing.

    Parameters
    ----------
    linear : nn.Linear
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = _quantised(linear.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale[:, 0])
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out) in the precision of `x`."""
        rows, scale = _quantised(x.flatten(0, -2))
        out = torch._int_mm(rows, self.weight.T).float() * scale * self.scale
        if self.bias is not None:
            out = out + self.bias
        return out.to(x.dtype).unflatten(0, x.shape[:-1])


def quantise_linears(module: nn.Module) -> None:
    """Replace every linear layer inside a module, one after the other, so that no second copy is ever in memory.

    Parameters
    ----------
    module : nn.Module
        The language model, say. It cannot be trained or saved afterwards.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, Int8Linear(child))
        else:
            quantise_linears(child)


def _quantised(values: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, K) as int8, and the (N, 1) scales that bring them back."""
    values = values.float()
    scale = values.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / _LARGEST
    return (values / scale).round_().to(torch.int8), scale
