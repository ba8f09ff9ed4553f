"""From the coarsest image features to tokens of the language model (PSALM, section 3.1)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, unfold

from psalm.modeling.in_cache import is_apart


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
    pool : int
        Average so many tokens along each side into one; 1, as published, keeps them all.
    """

    def __init__(self, in_channels: int, width: int, out: int, pool: int = 1) -> None:
        super().__init__()
        self.pool = pool
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
        (B, ceil(h / 2 / pool) * ceil(w / 2 / pool), out) tensor
            Image tokens in row-major order.
        """
        # With channels last, as they may come, processors would turn the large weights for so few pixels.
        features = features.contiguous()
        x = self.norm1(_convolved(features, self.conv1)).relu()
        x = self.norm2(_convolved(_convolved(x, self.conv2), self.conv2))
        x = (x + self.shortcut(features)).relu()
        if self.pool > 1:
            x = avg_pool2d(x, self.pool, ceil_mode=True, count_include_pad=False)
        return self.linear(x.flatten(2).transpose(1, 2))


def _convolved(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """A square convolution without bias.

    For so few pixels, processors spend as long on turning the weights as on the product, which takes them as they are.
    """
    if not is_apart(x):
        return convolution(x)
    kernel, stride, padding = convolution.kernel_size[0], convolution.stride[0], int(convolution.padding[0])
    size = [(side + 2 * padding - kernel) // stride + 1 for side in x.shape[2:]]
    patches = unfold(x, kernel, padding=padding, stride=stride)
    return (convolution.weight.flatten(1) @ patches).unflatten(2, size)
