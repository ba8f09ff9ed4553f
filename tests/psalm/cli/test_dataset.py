from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from psalm.cli.main import app
from psalm.store import AnnotationStore, ImageState, NewObject


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    with AnnotationStore.create(tmp_path / "dataset", tmp_path / "images", actor="tester") as store:
        store.ensure_category("cell", synonyms=["cells"])
        store.ensure_category("[germ]", is_thing=False)
        image = store.ensure_image("plate/a.tif", 1, 3, 4)
        store.ensure_image("b.png", 0, 3, 4)
        store.add_objects(image.id, [NewObject(1, np.ones((3, 4), dtype=bool))] * 7)
        store.set_state(image.id, ImageState.IN_REVIEW)
    return tmp_path / "dataset"


def run(*arguments: Any) -> str:
    result = CliRunner().invoke(app, ["dataset", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def fails(*arguments: Any) -> str:
    result = CliRunner().invoke(app, ["dataset", *map(str, arguments)])
    assert result.exit_code == 1
    return result.output


def test_show_says_how_far_a_dataset_is(folder):
    output = run("show", folder)
    assert f"2 images below {folder.parent / 'images'}: 1 todo, 1 in review" in output
    assert "7 objects" in output
    rows = [line.split() for line in output.splitlines()]
    assert ["1", "cell", "7", "thing", "cells"] in rows
    assert ["2", "[germ]", "0", "stuff"] in rows


def test_history_lists_the_latest_changes(folder):
    lines = run("history", folder, "--image", "plate/a.tif", "--page", 1).splitlines()
    assert len(lines) == 2
    assert "tester  add  plate/a.tif  7 objects (1, 2, 3, 4, 5, ...)" in lines[0]
    assert "tester  state  plate/a.tif  state todo -> state in_review" in lines[1]
    assert run("history", folder, "--last", 1).splitlines() == lines[1:]
    assert "no image a.tif (page 0)" in fails("history", folder, "--image", "a.tif")


def test_images_moves_the_root(folder, tmp_path):
    (tmp_path / "moved" / "plate").mkdir(parents=True)
    (tmp_path / "moved" / "b.png").touch()
    assert "check the folder" not in run("images", folder, tmp_path / "moved")
    with AnnotationStore.open(folder) as store:
        assert store.image_root == tmp_path / "moved"
        assert store.history()[-1].actor == "psalm dataset"
    assert "There is no b.png in it" in run("images", folder, tmp_path / "images")
    assert "no folder" in fails("images", folder, tmp_path / "nowhere")


def test_copy_is_a_whole_store(folder, tmp_path):
    run("copy", folder, tmp_path / "backup" / "deep")
    with AnnotationStore.open(tmp_path / "backup" / "deep") as copied, AnnotationStore.open(folder) as store:
        assert (copied.objects(1), copied.history(), copied.uid) == (store.objects(1), store.history(), store.uid)
        assert copied.image_root == store.image_root
    assert "exists already" in fails("copy", folder, tmp_path / "backup" / "deep")


def test_rename_and_merge_keep_the_names(folder):
    run("rename", folder, "cells", "nucleus")
    with AnnotationStore.open(folder) as store:
        assert (store.category(1).name, store.category(1).synonyms) == ("nucleus", ("cells", "cell"))
    assert "7 objects are now [germ]." in run("merge", folder, "cell", "--into", "[germ]")
    with AnnotationStore.open(folder) as store:
        assert [category.id for category in store.categories()] == [2]
        assert store.find_category("nucleus").id == 2
    assert "no category 'dog': choose one of [germ]" in fails("merge", folder, "dog", "--into", "cell")


def test_a_folder_without_a_store_is_an_error(tmp_path):
    assert "no annotation store" in fails("show", tmp_path)
