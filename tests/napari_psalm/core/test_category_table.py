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


def test_a_csv_file_may_hold_everything(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        'id,name,isthing,synonyms,colour,shortcut\n7,nucleus,1,nuclei|kernel,#ff0000,4\n,sky,0,,"0, 0, 255",\n'
    )
    table = CategoryTable.from_file(path)
    assert [(c.id, c.name, c.is_thing) for c in table.categories] == [(7, "nucleus", True), (8, "sky", False)]
    assert table.condition().names == ("nucleus", "sky", "nuclei", "kernel")
    assert table.canonical("kernel") == "nucleus"
    assert (table.colour_of("nucleus"), table.colour_of("sky")) == ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    assert (table.shortcut_of("nucleus"), table.shortcut_of("sky")) == (4, 1)
    assert CategoryTable.from_records(table.to_records()) == table


@pytest.mark.parametrize("row", ["coin,#12,", "coin,,x", "coin,,10"])
def test_a_wrong_colour_or_shortcut_says_so(tmp_path: Path, row: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"name,colour,shortcut\n{row}\n")
    with pytest.raises(ConditionError, match="not a class list"):
        CategoryTable.from_file(path)


def test_synonyms_are_typed_after_a_slash_and_styles_outlive_editing() -> None:
    table = CategoryTable.from_text("nucleus / nuclei\nand/or").styled("nucleus", colour=(1.0, 0.0, 0.0), shortcut=9)
    after = CategoryTable.from_text("and/or\nnucleus / nuclei / kernel (stuff)", table)
    assert after.names == ("and/or", "nucleus")
    assert after.style(1).synonyms == ("nuclei", "kernel")
    assert (after.colour_of("nucleus"), after.shortcut_of("nucleus")) == ((1.0, 0.0, 0.0), 9)
    assert CategoryTable.from_text(after.to_text(), after) == after
    with pytest.raises(ConditionError, match="repeats nuclei"):
        CategoryTable.from_text("nucleus / nuclei\nnuclei")


def test_shortcuts_are_given_in_order_and_taken_from_who_had_them() -> None:
    table = CategoryTable.from_text("a\nb\nc")
    assert [table.name_of_shortcut(digit) for digit in (1, 2, 3, 4)] == ["a", "b", "c", None]
    moved = table.styled("c", shortcut=1).styled("b", shortcut=1)
    assert [moved.shortcut_of(name) for name in "abc"] == [2, 1, 3]


@pytest.mark.parametrize("name", ["classes.json", "classes.txt"])
def test_a_saved_list_is_read_back(tmp_path: Path, name: str) -> None:
    from napari_psalm.core.class_files import write_class_file

    table = CategoryTable.from_text("nucleus / nuclei\nsky (stuff)")
    write_class_file(tmp_path / name, table)
    assert CategoryTable.from_file(tmp_path / name) == table
