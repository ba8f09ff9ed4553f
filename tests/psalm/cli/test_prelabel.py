from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from psalm.cli import prelabel as command
from psalm.cli.main import app
from psalm.predictor import PSALMPredictor
from psalm.store import AnnotationStore, ImageState
from tests.psalm.prelabel.fakes import FakePredictor, make_images

QUESTION = ("--classes", "cell, coin", "--sentence", "the right one", "--out", "out")


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def run(monkeypatch, predictor, tmp_path):
    """Call the command line in an empty folder, with a predictor that is no network."""
    monkeypatch.setattr(PSALMPredictor, "from_pretrained", lambda *args, **kwargs: predictor)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: Any) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_images(tmp_path / "images", 4)


def test_a_folder_becomes_a_dataset(run, folder, tmp_path):
    result = run("prelabel", folder, *QUESTION)
    assert result.exit_code == 0, result.output
    assert "4 images labelled, 16 objects" in result.output
    report = (tmp_path / "out" / "report.html").as_uri()
    assert report in result.output and "coco.json" in result.output
    assert len(json.loads((tmp_path / "out" / "coco.json").read_text())["images"]) == 4
    again = run("prelabel", folder, *QUESTION)
    assert again.exit_code == 0 and "4 kept as they were" in again.output


def test_images_that_fail_are_listed_and_the_exit_code_says_so(run, folder):
    (folder / "bad.png").touch()
    result = run("prelabel", folder, *QUESTION)
    assert result.exit_code == command.SOME_FAILED == 3
    assert "1 images could not be labelled" in result.output and "bad.png is empty" in result.output


def test_another_question_is_one_line_and_exit_code_1(run, folder):
    run("prelabel", folder, *QUESTION)
    result = run("prelabel", folder, "--classes", "cat", "--out", "out")
    assert result.exit_code == 1 and "--existing" in result.stderr and len(result.stderr.splitlines()) == 1
    assert run("prelabel", folder, "--classes", "cat", "--out", "out", "--existing", "replace").exit_code == 0


def test_ctrl_c_says_how_to_go_on(run, folder, predictor, tmp_path):
    ask = predictor.predict_each

    def interrupt(*args: Any, **kwargs: Any) -> Any:
        if len(predictor.batches) == 2:
            raise KeyboardInterrupt
        return ask(*args, **kwargs)

    predictor.predict_each = interrupt
    result = run("prelabel", folder, *QUESTION)
    assert result.exit_code == command.INTERRUPTED == 130
    assert "the same command goes on" in result.output
    with AnnotationStore.open(tmp_path / "out") as store:
        assert store.counts()[ImageState.PREDICTED] == 2
    predictor.predict_each = ask
    assert "2 images labelled" in run("prelabel", folder, *QUESTION).output


def test_a_dry_run_loads_no_model_and_writes_nothing(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(PSALMPredictor, "from_pretrained", None)
    result = run("prelabel", folder, *QUESTION, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "4 new files" in result.output and "Nothing was changed" in result.output
    assert not (tmp_path / "out").exists()


def test_a_dry_run_of_a_replacement(run, folder):
    run("prelabel", folder, *QUESTION)
    result = run("prelabel", folder, "--classes", "cat", "--out", "out", "--existing", "replace", "--dry-run")
    assert "4 images that were labelled before would be asked again" in result.output
    assert "16 objects that nobody touched would make way for the new ones, 0 would stay" in result.output


def test_workers_or_a_scheduler(run, folder):
    result = run("prelabel", folder, *QUESTION, "--workers", 2, "--scheduler", "tcp://127.0.0.1:1")
    assert result.exit_code == 2


@pytest.mark.parametrize("command_line", [("prelabel", "images", *QUESTION), ("relabel", "out", "--model", "newer")])
def test_the_weights_may_be_less_exact(run, folder, predictor, monkeypatch, command_line):
    run("prelabel", folder, *QUESTION)
    asked = []
    monkeypatch.setattr(PSALMPredictor, "from_pretrained", lambda *_, **how: asked.append(how) or predictor)
    assert run(*command_line, "--precision", "int8").exit_code == 0
    assert asked == [{"device": None, "precision": "int8"}]
    assert run(*command_line, "--precision", "int4").exit_code == 2


def test_relabel(run, folder, predictor, tmp_path):
    run("prelabel", folder, *QUESTION)
    predictor.weights_hash, predictor.shift = "1" * 32, 1
    result = run("relabel", "out", "--model", "newer")
    assert result.exit_code == 0, result.output
    assert "4 images: 0 objects added, 0 removed, 12 changed, 4 the same" in result.output
    assert "was not changed" in result.output
    assert "4 images were changed" in run("relabel", "out", "--model", "newer", "--apply").output
    assert json.loads((tmp_path / "out" / "relabel.json").read_text())["summary"]["applied"] == 4


def test_report(run, folder, tmp_path):
    run("prelabel", folder, *QUESTION)
    (tmp_path / "out" / "report.html").unlink()
    assert run("report", "out").exit_code == 0
    assert (tmp_path / "out" / "report.html").is_file()
    assert run("report", "out", "--out", "page.html").exit_code == 0
    assert (tmp_path / "page.html").is_file()
    missing = run("report", "nothing")
    assert missing.exit_code == 1 and "no annotation store" in missing.stderr


def test_names_the_model_does_not_know_are_told_once(run, folder):
    result = run("prelabel", folder, "--classes", "nuclei, unicorn", "--out", "out")
    assert result.exit_code == 0, result.output
    assert result.output.count("not trained on unicorn") == 1 and "psalm info --model psalm-tiny" in result.output
    assert "not trained" not in run("prelabel", folder, "--classes", "cell, coins", "--out", "other").output
