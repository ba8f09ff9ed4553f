"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
GOLDEN_FOLDERS = (HERE / "golden", HERE.parent.parent / "shared" / "golden")


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Path]:
    """Find a file of recorded reference numbers by its relative name; the test is skipped where there is none."""

    def find(name: str) -> Path:
        for folder in GOLDEN_FOLDERS:
            if (folder / name).exists():
                return folder / name
        pytest.skip(f"the reference numbers {name} are not here")

    return find
