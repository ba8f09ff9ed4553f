"""`psalm data` and `psalm evaluate --benchmark`, as typed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from psalm.cli.main import app
from psalm.predictor import PSALMPredictor
from tests.psalm.data.published_layouts import make_coco, make_davis
from tests.psalm.evaluation.answering import echo


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Call the command line in an empty folder, with a predictor that answers each region with itself."""
    monkeypatch.setattr(PSALMPredictor, "from_pretrained", lambda *args, **kwargs: _named())
    monkeypatch.chdir(tmp_path)

    def call(*arguments: Any) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


def _named() -> Any:
    predictor = echo()
    predictor.device = "cpu"  # type: ignore[attr-defined]
    return predictor


def test_check(run, tmp_path):
    make_davis(tmp_path / "data/DAVIS")
    result = run("data", "check", "data")
    assert result.exit_code == 0 and "davis" in result.output and "complete" in result.output
    result = run("data", "check", "data", "--dataset", "lvis")
    assert (
        result.exit_code == 1
        and "lvis_v1_val.json (instance annotations): get it from the LVIS website" in result.output
    )
    (tmp_path / "empty").mkdir()
    result = run("data", "check", "empty")
    assert result.exit_code == 1 and "holds no data set" in result.stderr
    assert run("data", "check", "nowhere").exit_code == 1


def test_interactive_and_its_evaluation(run, tmp_path):
    make_coco(tmp_path / "coco")
    instances, out = "coco/annotations/instances_val2017.json", "coco/coco_interactive_val_psalm.json"
    result = run("data", "interactive", instances, "--out", out)
    assert result.exit_code == 0 and "4 objects" in result.output, result.output
    result = run("data", "interactive", instances, "--out", out)
    assert result.exit_code == 1 and "already there" in result.stderr
    assert run("data", "interactive", instances, "--out", out, "--overwrite").exit_code == 0
    result = run(
        "evaluate", "--benchmark", "coco-interactive", "--data", ".", "--prompt", "box", "--at-once", "1",
        "--out", "run", "--json", "f.json", "--markdown", "f.md", "--pictures", "f.png",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["benchmark"] == "coco-interactive" and figures["model"] == "answering" and figures["items"] == 2
    assert figures["per_prompt"]["box"]["objects"] == 4 and 0.5 < figures["overall"]["miou"] <= 1
    assert "| **answering** |" in (tmp_path / "f.md").read_text() and (tmp_path / "f.png").stat().st_size > 1000
    assert (tmp_path / "run/records-0.jsonl").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--benchmark", "davis"),
        ("--data", "."),
        ("--protocol", "paper", "--task", "instance"),
        ("--benchmark", "davis", "--data", ".", "--task", "instance"),
        ("--benchmark", "davis", "--data", ".", "--protocol", "mine"),
    ],
)
def test_wrong_use_is_exit_code_2(run, arguments):
    assert run("evaluate", *arguments).exit_code == 2


def test_an_unknown_benchmark_lists_all(run):
    result = run("evaluate", "--benchmark", "coco", "--data", ".")
    assert result.exit_code == 1 and "coco-panoptic" in result.stderr and "davis" in result.stderr
