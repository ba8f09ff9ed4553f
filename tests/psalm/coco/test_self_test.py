from __future__ import annotations

import numpy as np
import pytest

from psalm.coco import self_test
from psalm.coco.rle import area_of, bbox_of, encode_mask
from psalm.coco.self_test import open_with_pycocotools, unmatched


def _content(count: int) -> dict:
    annotations = []
    for i in range(count):
        mask = np.zeros((20, 60), dtype=bool)
        mask[2:12, 5 * i : 5 * i + 4] = True
        code = encode_mask(mask)
        annotations.append(
            {"id": 10 + i, "image_id": 7, "category_id": 1, "segmentation": code, "area": area_of(code), "iscrowd": 0}
            | {"bbox": bbox_of(code)}
        )
    images = [{"id": 7, "file_name": "a.png", "height": 20, "width": 60}, {"id": 3, "height": 5, "width": 5}]
    return {"info": {}, "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "bar"}]}


@pytest.mark.parametrize("most", [100, 2])
def test_every_object_finds_itself_in_groups_as_well(monkeypatch, most):
    monkeypatch.setattr(self_test, "_MOST_TOGETHER", most)
    content = _content(5)
    assert unmatched(open_with_pycocotools(content)) == []
    empty = encode_mask(np.zeros((20, 60), dtype=bool))
    content["annotations"][3] |= {"segmentation": empty, "area": 0, "bbox": [0, 0, 0, 0]}
    assert unmatched(open_with_pycocotools(content)) == [13]
    assert [image["id"] for image in content["images"]] == [7, 3]
