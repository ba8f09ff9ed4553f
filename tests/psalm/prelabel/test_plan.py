from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from psalm.conditions import CategoryCondition
from psalm.errors import ImageError, OutputError
from psalm.prelabel import prelabel
from psalm.prelabel.plan import Plan, make_plan
from psalm.prelabel.questions import folder_prompts
from psalm.store import AnnotationStore, ImageState, NewObject

CELLS, CATS = CategoryCondition(["cell", "coin"]), CategoryCondition(["cat"])


def test_a_new_dataset(folder, tmp_path):
    assert make_plan(folder, tmp_path / "out", folder_prompts([CELLS])) == Plan(new_files=7)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ImageError, match="no folder"):
        make_plan(tmp_path / "missing", tmp_path / "out", folder_prompts([CELLS]))


def test_what_would_change(folder, tmp_path, predictor, content):
    out = tmp_path / "out"
    prelabel(folder, out, [CELLS], predictor)
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(folder / "new.png")
    (folder / "bad.png").touch()
    prelabel(folder, out, [CELLS], predictor)
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(folder / "newer.png")
    with AnnotationStore.open(out) as store:
        store.set_state(store.find_image("image-003.png").id, ImageState.VERIFIED)
        image = store.find_image("image-001.png")
        store.add_objects(image.id, [NewObject(1, np.ones(image.size, dtype=bool))])
    before = (content(out), sorted(path.name for path in out.iterdir()))
    assert make_plan(folder, out, folder_prompts([CELLS])) == Plan(1, 1, 0, 0, 0, 8, 1)
    assert make_plan(folder, out, folder_prompts([CATS]), existing="replace") == Plan(1, 1, 7, 12, 1, 1, 1)
    assert make_plan(folder, out, folder_prompts([CATS]), existing="add") == Plan(1, 1, 7, 0, 13, 1, 1)
    with pytest.raises(OutputError, match="conditions differ"):
        make_plan(folder, out, folder_prompts([CATS]))
    assert (content(out), sorted(path.name for path in out.iterdir())) == before
