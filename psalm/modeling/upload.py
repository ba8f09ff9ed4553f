"""Numbers that were worked out on the host, on the device that needs them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def upload(values: ArrayLike, device: torch.device) -> Tensor:
    """Numbers as a tensor on a device, without waiting for what the device still has to do."""
    # The host's memory may be let go at once: what is not pinned is staged before the call returns.
    return torch.as_tensor(np.asarray(values)).to(device, non_blocking=True)
