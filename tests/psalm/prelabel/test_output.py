from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from psalm.prelabel.output import draw_stored, picture_of
from psalm.store import AnnotationStore, NewObject
from tests.psalm.zarr_images import write_ome_zarr


def _store(folder: Path, name: str, mask: np.ndarray) -> AnnotationStore:
    store = AnnotationStore.create(folder / f"out-{name}", folder)
    image = store.ensure_image(name, 0, *mask.shape)
    store.add_objects(image.id, [NewObject(store.ensure_category("half").id, mask, score=0.5)])
    return store


def test_a_small_picture_keeps_masks_in_place(tmp_path: Path) -> None:
    pixels = np.zeros((960, 480, 3), dtype=np.uint8)
    pixels[480:, :240] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    write_ome_zarr(tmp_path / "a.zarr", pixels, "yxc")
    mask = pixels[..., 0] > 0
    for name in ("a.png", "a.zarr"):
        with _store(tmp_path, name, mask) as store:
            for longest, size in ((480, (480, 240)), (960, (960, 480))):
                drawn = picture_of(store, store.image(1), longest)
                assert drawn is not None and drawn[0].shape == (*size, 3)
                assert np.array_equal(drawn[0][..., 0] > 127, drawn[1].cutouts[0].full(size))
            draw_stored(store, store.image(1), tmp_path / "overlays")
            assert Image.open(tmp_path / "overlays" / f"{name}.png").size == (480, 960)


def test_an_image_that_is_gone_has_no_picture(tmp_path: Path) -> None:
    with _store(tmp_path, "a.png", np.ones((9, 9), dtype=bool)) as store:
        assert picture_of(store, store.image(1), 480) is None
        Image.fromarray(np.zeros((8, 9), dtype=np.uint8)).save(tmp_path / "a.png")
        assert picture_of(store, store.image(1), 480) is None


def test_what_cannot_be_seen_in_a_small_picture_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((500, 500), dtype=np.uint8)).save(tmp_path / "a.png")
    mask = np.zeros((500, 500), dtype=bool)
    mask[3, 4] = True
    with _store(tmp_path, "a.png", mask) as store:
        drawn = picture_of(store, store.image(1), 50)
        assert drawn is not None and len(drawn[1]) == 0
