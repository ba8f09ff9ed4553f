from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from psalm.annotations import Annotations, Category
from psalm.cli.main import app
from psalm.predictor import PSALMPredictor
from psalm.video import tracker
from psalm.video.followers import Sight


class Model:
    """Stands for a predictor: finds what is bright."""

    device = "cpu"

    class config:
        name = "fake"

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._image = image

    def predict(self, condition: Any) -> Annotations:
        mask = self._image[..., 0] > 100
        return Annotations(mask[None], [1], [0.9], (Category(1, condition.names[0]),))


class BrightFollower:
    """Finds what is bright, in every frame and for every object; nothing where all is dark."""

    def open(self, frame: NDArray[np.uint8]) -> tuple[int, int]:
        self._frame = frame[..., 0]
        return frame.shape[0], frame.shape[1]

    def remember(self, masks: Mapping[int, NDArray[np.bool_]]) -> None:
        """Nothing to remember."""

    locate = remember

    def look(self, ids: Sequence[int]) -> dict[int, Sight]:
        bright = self._frame > 100
        return {i: Sight(bright, 0.9 if bright.any() else 0.0) for i in ids}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six frames of a moving square, which is gone in the last two."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for t in range(6):
        frame = np.zeros((40, 60), dtype=np.uint8)
        frame[10:22, 5 + 6 * t : 17 + 6 * t] = 200 if t < 4 else 0
        Image.fromarray(frame).save(folder / f"{t}.png")
    first = (np.asarray(Image.open(folder / "0.png")) > 100).astype(np.uint8) * 7
    Image.fromarray(first).save(tmp_path / "first.png")
    return folder


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(PSALMPredictor, "from_pretrained", lambda *args, **kwargs: Model())
    monkeypatch.setattr(tracker, "follower_for", lambda predictor: BrightFollower())
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["propagate", *map(str, arguments)])


def test_a_marked_object_becomes_a_track(run, clip, tmp_path):
    result = run(clip, "--mask", "0=first.png", "--out", "out", "--labels")
    assert result.exit_code == 0, result.output
    assert "1 objects followed" in result.output
    assert "frame 4: object 7: not seen any more" in result.output
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [(a["track_id"], a["frame"]) for a in content["annotations"]] == [(7, t) for t in range(4)]
    (track,) = json.loads((tmp_path / "out" / "youtube-vis.json").read_text())["annotations"]
    assert [code is None for code in track["segmentations"]] == [False] * 4 + [True] * 2
    labels = np.asarray(Image.open(tmp_path / "out" / "labels" / "2.png"))
    assert np.unique(labels).tolist() == [0, 7]
    assert content["categories"][0]["name"] == "object"


def test_a_marked_object_may_have_a_name(run, clip, tmp_path):
    assert run(clip, "--mask", "0=first.png", "--category", "cell", "--out", "out").exit_code == 0
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["cell"]


def test_the_model_finds_the_objects_in_a_frame(run, clip, tmp_path):
    result = run(clip, "--classes", "square", "--at", "3", "--first", "1", "--last", "3", "--out", "out")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert sorted(a["frame"] for a in content["annotations"]) == [1, 2, 3]
    assert content["categories"][0]["name"] == "square"


def test_the_brake_stops_at_the_first_doubt(run, clip, tmp_path):
    assert run(clip, "--mask", "0=first.png", "--out", "out", "--labels", "--brake").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out" / "labels").iterdir()) == [f"{t}.png" for t in range(5)]


def test_what_cannot_be_done_is_said(run, clip, tmp_path):
    assert "Nothing is marked" in run(clip, "--out", "out").output
    assert "is not INDEX=FILE" in run(clip, "--mask", "first.png", "--out", "out").output
    assert "There is no frame 9" in run(clip, "--classes", "square", "--at", "9", "--out", "out").output
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "coco.json").write_text("mine")
    refused = run(clip, "--mask", "0=first.png", "--out", "out")
    assert refused.exit_code == 1
    assert "exists" in refused.output
