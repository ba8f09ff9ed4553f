from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.napari_psalm.core.bench import Bench


@pytest.fixture
def bench(predictor: Any, post: Any, image: np.ndarray) -> Iterator[Bench]:
    bench = Bench(predictor, post, image)
    yield bench
    predictor.go.set()
    bench.session.close()
