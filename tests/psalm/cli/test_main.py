from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import psalm
from psalm.cli.main import app
from psalm.cli.prelabel import read_classes
from psalm.errors import ConditionError
from psalm.predictor import PSALMPredictor


@pytest.fixture
def run(monkeypatch, fake_predictor, tmp_path):
    """Call the command line in an empty folder, with a predictor that knows the answer."""
    monkeypatch.setattr(PSALMPredictor, "from_pretrained", lambda *args, **kwargs: fake_predictor)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: Any) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.fromarray(np.full((20, 30), 90, dtype=np.uint8)).save(tmp_path / "images" / "a.png")
    return tmp_path / "images"


def test_help_and_version(run):
    assert run("--version").output.strip() == psalm.__version__
    output = run("--help").output
    assert all(
        name in output
        for name in ("demo", "prelabel", "relabel", "report", "train", "evaluate", "info", "fetch", "convert", "parity")
    )
    for name in ("demo", "prelabel", "relabel", "report", "train", "evaluate", "info", "fetch", "convert", "parity"):
        assert run(name, "--help").exit_code == 0


def test_an_error_is_one_line_and_exit_code_1(run, tmp_path):
    result = run("prelabel", tmp_path / "missing", "--classes", "cell", "--out", "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no folder") and len(result.stderr.splitlines()) == 1
    result = run("prelabel", tmp_path, "--classes", "cell,cell", "--out", "out")
    assert result.exit_code == 1 and "repeats cell" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("prelabel", ".", "--out", "out"), ("prelabel", "."), ("nothing",), ("evaluate", "--task", "guess")],
)
def test_wrong_use_is_exit_code_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_classes_from_text_and_file(tmp_path):
    assert read_classes(" cell, red coin ,") == ("cell", "red coin")
    path = tmp_path / "names.txt"
    path.write_text("cell\nred coin\n\n")
    assert read_classes(str(path)) == ("cell", "red coin")
    with pytest.raises(ConditionError, match="no file"):
        read_classes(str(tmp_path / "other.txt"))


def test_an_unknown_device(run, folder):
    result = run("prelabel", folder, "--classes", "cell", "--out", "out", "--device", "toaster")
    assert result.exit_code == 1 and "no device 'toaster'" in result.stderr


def test_evaluate(run, folder, tmp_path):
    mask = np.zeros((1, 20, 30), dtype=bool)
    mask[0, 5:15, 5:15] = True
    truth = psalm.Annotations(mask, np.ones(1), np.ones(1), (psalm.Category(1, "cell"),))
    from psalm.coco import ImageEntry

    psalm.write_coco(tmp_path / "truth.json", [(ImageEntry(1, "a.png", 20, 30), truth)])
    result = run(
        "evaluate", "--images", folder, "--annotations", "truth.json", "--task", "interactive", "--prompt", "mask",
        "--json", "figures.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["model"] == "fake" and figures["images"] == 1
    assert 0.8 < figures["overall"]["mean_iou"] < 1  # the simulated mask is a rough one
    assert "overall" in result.output


def test_demo(run, monkeypatch, tmp_path):
    from psalm.demo import run as demo

    monkeypatch.setattr(demo.run_demo, "__defaults__", (demo.QUESTIONS[:1], None))
    result = run("demo", "--out", "demo")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "demo" / "index.html").as_uri() in result.output


def test_train_says_what_is_wrong_with_a_config(run, tmp_path):
    (tmp_path / "config.yaml").write_text("output: run\n")
    result = run("train", "config.yaml")
    assert result.exit_code == 1 and "config lacks data, stages" in result.stderr


def test_info(run, fake_predictor):
    import torch

    fake_predictor.model = torch.nn.Linear(1000, 1000)
    fake_predictor.info = {"names": ["coin", "cell"]}
    result = run("info")
    assert result.exit_code == 0, result.output
    for text in ("torch", "1.0 million", "192 pixels", "cell, coin", "cpu"):
        assert text in result.output
