from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Labels

from napari_psalm._reader import get_reader
from napari_psalm._writer import write_coco
from napari_psalm.core import coco_files
from psalm.annotations import Category
from psalm.coco import read_coco
from psalm.errors import AnnotationError


def _layer(data: np.ndarray, **attributes: object) -> tuple[np.ndarray, dict[str, object], str]:
    return Labels(data, **attributes).as_layer_data_tuple()


@pytest.fixture
def data() -> np.ndarray:
    data = np.zeros((12, 16), dtype=np.uint32)
    data[2:6, 3:9], data[8:10, 1:4], data[8:10, 10:12] = 4, 7, 9
    return data


@pytest.fixture
def features() -> dict[str, list[object]]:
    return {"index": [4, 7], "class": ["coin", "cell"], "score": [0.8, 0.7], "prompt": ["coin", "point 1"]}


def test_saving_and_opening_brings_the_objects_back(tmp_path: Path, data: np.ndarray, features: dict) -> None:
    path = str(tmp_path / "objects.json")
    metadata = {
        "psalm": {"file_name": "plate 1.tif", "categories": [{"id": 5, "name": "cell"}, {"id": 8, "name": "coin"}]}
    }
    assert write_coco(path, [_layer(data, features=features, metadata=metadata)]) == [path]
    dataset = read_coco(path)
    assert dataset.images[0].file_name == "plate 1.tif"
    assert dataset.categories[:2] == (Category(5, "cell"), Category(8, "coin"))
    assert [category.name for category in dataset.categories] == ["cell", "coin", "object"]

    read = get_reader(path)
    assert read is not None
    labels, attributes, kind = read(path)[0]
    assert kind == "labels"
    opened = Labels(labels, **attributes)
    assert list(opened.features["class"]) == ["coin", "cell", "object"]
    assert list(opened.features["prompt"])[:2] == ["coin", "point 1"]
    for new, old in zip((1, 2, 3), (4, 7, 9), strict=True):
        np.testing.assert_array_equal(opened.data == new, data == old)


def test_a_stack_gives_an_image_per_slice_with_objects(tmp_path: Path, data: np.ndarray) -> None:
    stack = np.stack([np.zeros_like(data), data, data])
    path = str(tmp_path / "stack.json")
    write_coco(path, [_layer(stack, name="stack")])
    assert [image.file_name for image in read_coco(path).images] == ["stack_0001.png", "stack_0002.png"]


def test_several_layers_go_into_one_file(tmp_path: Path, data: np.ndarray, features: dict) -> None:
    path = str(tmp_path / "both.json")
    write_coco(path, [_layer(data, name="a", features=features), _layer(data, name="/tmp/../b")])
    dataset = read_coco(path)
    assert [(image.id, image.file_name) for image in dataset.images] == [(1, "a.png"), (2, "tmp/b.png")]
    assert [len(dataset.by_image[image.id]) for image in dataset.images] == [3, 3]


def test_an_empty_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="holds no object"):
        write_coco(str(tmp_path / "x.json"), [_layer(np.zeros((4, 4), dtype=np.uint8))])


def test_other_json_files_are_left_to_others(tmp_path: Path) -> None:
    other = tmp_path / "settings.json"
    other.write_text('{"colour": 1}')
    assert get_reader(str(other)) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(other)]) is None


def test_a_file_with_very_many_images_says_so(
    tmp_path: Path, data: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "stack.json")
    write_coco(path, [_layer(np.stack([data, data]))])
    monkeypatch.setattr(coco_files, "MOST_IMAGES", 1)
    with pytest.raises(AnnotationError, match="split it"):
        coco_files.read_labels(path)


def test_the_image_beside_the_file_is_opened_too(tmp_path: Path, data: np.ndarray) -> None:
    from PIL import Image

    path = str(tmp_path / "objects.json")
    metadata = {"psalm": {"file_name": "plate.png"}}
    write_coco(path, [_layer(data, metadata=metadata)])
    (tmp_path / "images").mkdir()
    Image.fromarray(np.full(data.shape, 7, dtype=np.uint8)).save(tmp_path / "images" / "plate.png")
    read = get_reader(path)
    assert read is not None
    (pixels, image, first), (_, attributes, second) = read(path)
    assert (first, second) == ("image", "labels")
    assert pixels.mean() == 7
    assert (image["name"], attributes["name"]) == ("plate", "plate objects")
    Image.fromarray(np.zeros((3, 3), dtype=np.uint8)).save(tmp_path / "images" / "plate.png")
    assert [kind for _, _, kind in read(path)] == ["labels"]


def test_a_class_that_nothing_has_is_not_made_up(tmp_path: Path, data: np.ndarray) -> None:
    path = str(tmp_path / "objects.json")
    features = {"index": [4, 7, 9], "class": ["coin"] * 3}
    write_coco(path, [_layer(data, features=features)])
    assert [category.name for category in read_coco(path).categories] == ["coin"]
