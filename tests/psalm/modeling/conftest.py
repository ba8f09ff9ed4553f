"""Reference weights and tensors of the tests of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from psalm.modeling.official_keys import rename_vision


@pytest.fixture
def vision_weights(golden: Callable[[str], Path]) -> Callable[[str], dict[str, Tensor]]:
    """State dict of one module of the image side, such as ``"backbone"``, from the small official checkpoint."""

    def load(module: str) -> dict[str, Tensor]:
        renamed = {rename_vision(key): tensor for key, tensor in load_file(golden("tiny_official.safetensors")).items()}
        return {
            name.removeprefix(f"{module}."): tensor
            for name, tensor in renamed.items()
            if name is not None and name.startswith(f"{module}.")
        }

    return load
