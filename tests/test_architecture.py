"""What an import loads, and what the wheel holds."""

from __future__ import annotations

import ast
import configparser
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "torchvision", "transformers", "timm", "accelerate", "napari", "vispy", "qtpy", "PyQt6", "magicgui"}
LIGHT = [
    "psalm",
    "psalm.annotations",
    "psalm.cli.main",
    "psalm.coco",
    "psalm.conditions",
    "psalm.config",
    "psalm.demo.run",
    "psalm.errors",
    "psalm.images",
    "psalm.overlay",
    "psalm.prelabel",
    "psalm.prompts",
    "psalm.proposals",
    "psalm.store",
    "napari_psalm",
]


def loaded_by(statement: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter holds after a statement."""
    program = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(result.stdout.splitlines()[-1])}


@pytest.mark.parametrize("module", LIGHT)
def test_import_is_light(module):
    assert not loaded_by(f"import {module}") & HEAVY


def test_a_public_record_needs_no_torch():
    loaded = loaded_by("from psalm import CategoryCondition, Annotations, read_coco; CategoryCondition(['cell'])")
    assert not loaded & HEAVY
    assert "psalm" in loaded


def test_every_public_name_exists():
    import psalm

    assert sorted(psalm.__all__) == sorted(psalm._MODULE_OF)
    for name in psalm.__all__:
        assert getattr(psalm, name).__name__ == name
    assert set(psalm.__all__) <= set(dir(psalm))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = psalm.nothing


def test_library_files_are_short():
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for package in ("psalm", "napari_psalm")
        for path in (ROOT / package).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_library_functions_are_short():
    long = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for package in ("psalm", "napari_psalm")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and _body_lines(node) > 60
    ]
    assert long == []


def _body_lines(node: ast.FunctionDef) -> int:
    has_docstring = ast.get_docstring(node) is not None
    first = node.body[1 if has_docstring and len(node.body) > 1 else 0]
    return (node.end_lineno or 0) - first.lineno + 1


def test_package_data_is_there():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for package, patterns in setup["options.package_data"].items():
        for pattern in patterns.split():
            assert list((ROOT / package).glob(pattern)), f"{package}/{pattern} matches no file"
