"""Fetching from a hub on this computer: resumed, checked, and never twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from psalm.errors import CheckpointError
from psalm.hub import cached, fetch
from tests.psalm.fake_hub import FakeHub, serving

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with a small checkpoint, and an empty place for downloads."""
    source = tmp_path / "source"
    source.mkdir()
    save_file({"a": torch.arange(300_000, dtype=torch.float32)}, source / "model.safetensors")
    for name, text in (("config.json", "{}"), ("tokenizer.json", "{}"), ("notes.md", "no"), ("training.csv", "no")):
        (source / name).write_text(text)
    torch.save({"a": torch.zeros(1)}, source / "pytorch_model.bin")
    with serving(source) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield hub


def test_a_checkpoint_is_fetched_once(hub: FakeHub) -> None:
    assert cached("owner/tiny") is None
    folder = fetch("owner/tiny")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert fetch("owner/tiny") == folder == cached("owner/tiny")
    assert len(hub.transfers("model.safetensors")) == 1


def test_offline_means_no_request(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="not on this computer"):
        fetch("owner/tiny", offline=True)
    assert hub.requests == []
    folder = fetch("owner/tiny")
    asked = len(hub.requests)
    assert fetch("owner/tiny", offline=True) == folder
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch("owner/tiny") == folder
    assert len(hub.requests) == asked


def test_an_interrupted_transfer_goes_on_where_it_stopped(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.break_after, hub.dead_after = 100_000, 3
    with pytest.raises(CheckpointError, match="goes on where it stopped"):
        fetch("owner/tiny")
    hub.break_after = None
    asked = len(hub.transfers("model.safetensors"))
    folder = fetch("owner/tiny")
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert hub.transfers("model.safetensors")[asked:] == ["bytes=300000-"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_wrong_checksum_is_refused_and_the_file_removed(hub: FakeHub, name: str) -> None:
    hub.corrupt = name
    with pytest.raises(CheckpointError, match=f"{name} differs from the checksum"):
        fetch("owner/tiny")
    folder = cached("owner/tiny")
    assert folder is None or not (folder / name).exists()
    hub.corrupt = None
    assert (fetch("owner/tiny") / name).read_bytes() == hub.files[name]


def test_what_is_missing_is_said_with_its_cure(hub: FakeHub) -> None:
    with pytest.raises(CheckpointError, match="owner/name"):
        fetch("no name at all")
    with pytest.raises(CheckpointError, match=r"no owner/other on the hub.*check the name"):
        fetch("owner/other")
    del hub.files["config.json"]
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        fetch("owner/tiny")


def test_a_hub_that_cannot_be_reached_is_named(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match="check the connection"):
        fetch("owner/tiny")


def test_the_command_uses_the_hub_that_the_environment_names(hub: FakeHub, tmp_path: Path) -> None:
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    program = "from psalm.cli.main import app; app()"

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, "fetch", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    assert call("owner/tiny", "--offline").returncode == 1
    result = call("owner/tiny")
    assert result.returncode == 0, result.stderr
    folder = Path(result.stdout.splitlines()[0].removeprefix("Checkpoint:").strip())
    assert json.loads((folder / "config.json").read_text()) == {}
    assert call("owner/tiny", "--offline").returncode == 0
