"""From the coarsest image features to tokens of the language model (PSALM, section 3.1)."""

from __future__ import annotations

from torch import Tensor, nn


class Projector(nn.Module):
    """A residual convolution block that halves each side, then a linear layer.

    The second convolution is applied twice with the same weights and nothing in between, as in the published model.

    Parameters
    ----------
    in_channels : int
        Channels of the coarsest backbone level.
    width : int
        Channels of the convolutions.
    out : int
        Width of the language model.
    """

    def __init__(self, in_channels: int, width: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, width, kernel_size=1, stride=2, bias=False), nn.BatchNorm2d(width)
        )
        self.linear = nn.Linear(width, out)

    def forward(self, features: Tensor) -> Tensor:
        """Project.

        Parameters
        ----------
        features : (B, in_channels, h, w) tensor
            The coarsest backbone level.

        Returns
        -------
        (B, ceil(h / 2) * ceil(w / 2), out) tensor
            Image tokens in row-major order.
        """
        x = self.norm1(self.conv1(features)).relu()
        x = self.norm2(self.conv2(self.conv2(x)))
        x = (x + self.shortcut(features)).relu()
        return self.linear(x.flatten(2).transpose(1, 2))
