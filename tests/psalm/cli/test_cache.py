"""``psalm cache`` tells what is kept and removes nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from psalm.cli.main import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        (tmp_path / f"{i:064x}.safetensors").write_bytes(bytes(500_000))
    (tmp_path / "model.safetensors").write_bytes(bytes(10))
    return tmp_path


def test_info_counts_images_and_bytes(folder: Path):
    result = CliRunner().invoke(app, ["cache", "info", "--folder", str(folder)])
    assert result.exit_code == 0 and "3 images, 1.5 MB" in result.output


def test_clear_removes_features_alone(folder: Path):
    result = CliRunner().invoke(app, ["cache", "clear", "--folder", str(folder)])
    assert result.exit_code == 0 and "1.5 MB freed" in result.output
    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]


def test_the_usual_folder_can_be_moved(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "features").mkdir()
    monkeypatch.setenv("PSALM_CACHE", str(folder))
    result = CliRunner().invoke(app, ["cache", "info"])
    assert result.exit_code == 0 and "0 images" in result.output and "features" in result.output
