"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SUBSET = HERE / "golden"
ALL_GOLDEN = HERE.parent.parent / "shared" / "golden"
# What the committed subset holds in full; its other files are cut, and serve the parity test alone.
WHOLE = {
    "full_state_dict.json",
    "img_A.safetensors",
    "real_tokenizer_prompts.json",
    "tiny_config.json",
    "tiny_official.safetensors",
}


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Path]:
    """Find a file of recorded reference numbers by its relative name; the test is skipped where there is none."""

    def find(name: str) -> Path:
        if (ALL_GOLDEN / name).exists():
            return ALL_GOLDEN / name
        if name in WHOLE:
            return SUBSET / name
        pytest.skip(f"the reference numbers {name} are not here")

    return find
