"""Damaged files: nothing but `AnnotationError` comes out. ``tools/fuzz_coco.py`` does the same for a minute."""

from __future__ import annotations

import json
from pathlib import Path

from psalm.coco import check_coco
from tools.fuzz_coco import fuzz, valid_content


def test_damaged_files_are_refused_or_read(tmp_path: Path):
    counts = fuzz(tmp_path, seed=1, rounds=120)
    # The damage must not be so bad that nothing behind the first check is ever reached.
    assert counts["imported"] > 20 and counts["read"] > 20
    assert counts["refused by import"] > 5 and counts["refused by read_coco"] > 20


def test_the_file_before_the_damage_is_fine(tmp_path: Path):
    (tmp_path / "coco.json").write_text(json.dumps(valid_content()))
    assert check_coco(tmp_path / "coco.json") == []
