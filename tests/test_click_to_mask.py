"""From one click to a mask: the route of the plugin with a real model and no window."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

import psalm
from napari_psalm.core.predictors import Predictor, keep_triton_out, load_predictor
from napari_psalm.core.prompt_layers import PromptLayers
from napari_psalm.core.questions import Request
from napari_psalm.core.session import AnnotationSession
from psalm.conditions import Task
from psalm.config import PSALMConfig
from psalm.predictor import PSALMPredictor


def _click(image: Any, row: float, column: float, load: Callable[[str], Predictor]) -> tuple[ViewerModel, list[str]]:
    """Click once on an image of half a unit per pixel, and wait for the answer."""
    viewer = ViewerModel()
    layer = viewer.add_image(image, name="image", scale=(0.5, 0.5))
    clicks = viewer.add_points(ndim=2, name="clicks")
    window_thread: queue.Queue[Callable[[], None]] = queue.Queue()
    session = AnnotationSession(viewer, window_thread.put, load)
    said: list[str] = []
    session.status.connect(lambda text, _level: said.append(text))
    request = Request(layer, Task.INTERACTIVE, prompts=PromptLayers(points=clicks), category="coin")
    session.marks.follow([clicks])
    session.marks.drawn.connect(lambda: session.segment(request))
    clicks.add([layer.data_to_world((row, column))])
    while session.runner.busy:
        window_thread.get(timeout=60)()
    session.close()
    return viewer, said


def _untrained(_name: str) -> PSALMPredictor:
    keep_triton_out()
    import torch

    from psalm.modeling.psalm import PSALM

    words = Tokenizer(WordLevel({"[UNK]": 0, "[SEG]": 1, "[REF]": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
    return PSALMPredictor(PSALM(PSALMConfig.small(image_size=96)), tokenizer)


def test_every_step_fits_the_next() -> None:
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    viewer, said = _click(image, 30, 40, _untrained)
    if said[-1].startswith("Nothing found"):
        pytest.skip("the untrained model of this version of torch draws nothing")
    assert said[-1] == "1 object added."
    labels = viewer.layers["image objects"]
    assert labels.features.loc[0, ["index", "class", "prompt"]].tolist() == [1, "coin", "point 1"]
    assert (labels.data == 1).any()
    labels.undo()
    assert not labels.data.any()


@pytest.mark.skipif(
    not (Path(psalm.__file__).parent / "weights" / "psalm-tiny" / "model.safetensors").exists(),
    reason="the weights of psalm-tiny are not here",
)
def test_a_click_on_a_coin_marks_the_coin() -> None:
    from skimage import data

    viewer, said = _click(data.coins(), 119, 271, load_predictor)
    assert said[-1] == "1 object added."
    rows, columns = np.ogrid[:303, :384]
    coin = (rows - 119) ** 2 + (columns - 271) ** 2 <= 24**2
    found = viewer.layers["image objects"].data == 1
    assert (found & coin).sum() / (found | coin).sum() > 0.5
