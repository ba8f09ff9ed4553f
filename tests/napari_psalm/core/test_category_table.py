from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_psalm.core.category_table import CategoryTable, colour_of
from psalm.errors import ConditionError


def test_names_are_read_from_lines_and_commas() -> None:
    table = CategoryTable.from_text("coin, cell\n\n sky (stuff) \n")
    assert table.names == ("coin", "cell", "sky")
    assert table.condition().is_thing == (True, True, False)
    assert CategoryTable.from_text(table.to_text()) == table


def test_names_that_stay_keep_their_ids() -> None:
    before = CategoryTable.from_text("coin\ncell")
    after = CategoryTable.from_text("dust\ncell", before)
    assert after.id_of("cell") == before.id_of("cell") == 2
    assert after.id_of("dust") == 3
    assert after.id_of("coin") == 0


def test_an_empty_or_repeated_list_says_so() -> None:
    with pytest.raises(ConditionError, match="one class per line"):
        CategoryTable().condition()
    with pytest.raises(ConditionError, match="repeats coin"):
        CategoryTable.from_text("coin\ncoin")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "coin\ncell\n"),
        ("list.csv", "id,name\n4,coin\n9,cell\n"),
        ("plain.csv", "coin,round\ncell,soft\n"),
        ("list.json", '["coin", "cell"]'),
        ("coco.json", '{"categories": [{"id": 4, "name": "coin"}, {"id": 9, "name": "cell", "isthing": 0}]}'),
    ],
)
def test_class_lists_are_read_from_files(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert CategoryTable.from_file(path).names == ("coin", "cell")


def test_coco_ids_survive_editing(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"categories": [{"id": 17, "name": "cat"}, {"id": 90, "name": "dog"}]}))
    table = CategoryTable.from_text("dog\nbird", CategoryTable.from_file(path))
    assert [category.id for category in table.categories] == [90, 91]
    assert CategoryTable.from_records(table.to_records()) == table


@pytest.mark.parametrize("text", ['{"images": []}', "{", "[1, 2]"])
def test_a_file_that_is_no_class_list_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(ConditionError, match="not a class list"):
        CategoryTable.from_file(path)
    with pytest.raises(ConditionError, match="not a class list"):
        CategoryTable.from_file(tmp_path / "missing.txt")


def test_colours_differ_and_are_stable() -> None:
    colours = [colour_of(i) for i in range(30)]
    assert len(set(colours)) == 30
    assert colour_of(3) == colours[3]
