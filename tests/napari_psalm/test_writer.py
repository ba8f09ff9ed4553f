from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_psalm._writer import write_coco
from tests.napari_psalm.core.bench import Bench


def _saved(path: Path, *layers: Any) -> list[Any]:
    write_coco(str(path), [layer.as_layer_data_tuple() for layer in layers])
    return json.loads(path.read_text())["annotations"]


def test_what_waits_in_the_preview_is_not_saved_with_the_rest(
    predictor: Any, post: Any, image: np.ndarray, tmp_path: Path
) -> None:
    bench = Bench(predictor, post, image)
    result = bench.ask()
    bench.ask(preview=True)
    preview = bench.session.preview.layer
    assert len(_saved(tmp_path / "both.json", result, preview)) == 3
    assert len(_saved(tmp_path / "preview.json", preview)) == 3
    bench.session.close()
