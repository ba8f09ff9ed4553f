from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from napari_psalm.core.predictors import keep_triton_out

ROOT = Path(__file__).resolve().parents[3]
WINDOW_THEN_MODEL = """
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
application, surface, context = QGuiApplication([]), QOffscreenSurface(), QOpenGLContext()
surface.create(), context.create(), context.makeCurrent(surface)

from napari_psalm.core.predictors import keep_triton_out
kept = keep_triton_out()
import torch._dynamo
print("alive", kept)
"""


@pytest.mark.parametrize(
    ("listed", "loaded", "kept"),
    [
        ("/usr/lib/libLLVM.so.19.1", False, True),
        ("/usr/lib/libGL.so", False, False),
        ("/usr/lib/libLLVM.so", True, False),
    ],
)
def test_triton_is_kept_out_where_it_would_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str, loaded: bool, kept: bool
) -> None:
    (tmp_path / "maps").write_text(f"7f00-7f01 r-xp 00000000 08:01 42 {listed}\n")
    if loaded:
        monkeypatch.setitem(sys.modules, "triton", sys)
    else:
        monkeypatch.delitem(sys.modules, "triton", raising=False)
    assert keep_triton_out(tmp_path / "maps") is kept
    if kept:
        assert importlib.util.find_spec("triton") is None
    assert not keep_triton_out(tmp_path / "missing")
    monkeypatch.undo()


def test_a_model_can_be_loaded_after_a_window_was_drawn() -> None:
    done = subprocess.run([sys.executable, "-c", WINDOW_THEN_MODEL], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("alive")
