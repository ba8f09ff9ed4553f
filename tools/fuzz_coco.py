"""Feed damaged COCO files to everything that reads them: only `AnnotationError` may come out.

python tools/fuzz_coco.py --seconds 60
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from psalm.coco import check_coco, read_coco
from psalm.coco.rle import encode_mask
from psalm.errors import AnnotationError
from psalm.formats import merge, read_coco_file
from psalm.store import AnnotationStore

SIZE = (20, 30)
_STORE_LIFE = 100

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, -(2**63), 10**30, 10**400, 0.5, -0.0, 65535, 1e308, float("nan"),
    float("inf"), "", "a", "7", "-7", "1e5", "NaN", "../../etc/passwd", "/etc/passwd", "C:\\x.png", "a\0b", "\ud800",
    "x" * 5000, ".", [], {}, [[]], [None], [1], [1, 2, 3, 4], [[1, 2, 3, 4]], [[0, 0, 9, 0, 9, 9]], [["a"] * 6],
    [[0, 0, 1e9, 0, 9, 9]], {"size": [20, 30], "counts": "0" * 50}, {"size": [20, 30], "counts": [600]},
    {"size": "20", "counts": []}, {"size": [20, 30], "counts": "P" * 20}, {"size": [20, 30], "counts": [-1, 601]},
    {"origin": "nobody"}, {"state": 3}, {"provenance": {"edited_pixels": -1}}, {"provenance": {"prompt": [1]}},
    {"synonyms": [""]},
)  # fmt: skip


def valid_content() -> dict[str, Any]:
    """A COCO file with everything that psalm reads."""
    square = np.zeros(SIZE, dtype=bool)
    square[4:10, 6:9] = True
    runs = [84, 3, 600 - 87]
    provenance = {"origin": "both", "model": "m", "prompt": {"kind": "sentence", "text": "x"}, "edited_pixels": 3}
    shared = {"image_id": 1, "category_id": 2, "iscrowd": 0, "score": 0.5, "psalm": {"provenance": provenance}}
    shapes: list[tuple[Any, int, list[int]]] = [
        (encode_mask(square), 18, [6, 4, 3, 6]),
        ({"size": [20, 30], "counts": runs}, 3, [4, 4, 1, 3]),
        ([[1, 1, 5, 1, 5, 4, 1, 4], [10, 10, 12, 10, 12, 12, 10, 12]], 16, [1, 1, 11, 11]),
    ]
    return {
        "info": {},
        "licenses": [],
        "images": [
            {"id": 1, "file_name": "a.png", "height": 20, "width": 30, "psalm": {"state": "verified"}},
            {"id": 2, "file_name": "s.tif#page=1", "parent": "s.tif", "frame": 1, "height": 20, "width": 30},
        ],
        "categories": [
            {
                "id": 2,
                "name": "cell",
                "isthing": 1,
                "color": [1, 2, 3],
                "psalm": {"synonyms": ["cells"], "shortcut": "c"},
            },
            {"id": 3, "name": "sky", "supercategory": "air", "isthing": 0},
        ],
        "annotations": [
            shared | {"id": number, "segmentation": shape, "area": area, "bbox": bbox}
            for number, (shape, area, bbox) in enumerate(shapes, start=1)
        ],
    }


def damaged(rng: random.Random) -> bytes:
    """The bytes of a COCO file with one to four faults."""
    content = valid_content()
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _damage(content, rng)
    data = json.dumps(content, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return _damage_bytes(data, rng) if rng.random() < 0.2 else data


def _damage(content: Any, rng: random.Random) -> None:
    places = list(_places(content))
    if not places:
        return
    parent, key = rng.choice(places)
    action = rng.random()
    if action < 0.15:
        del parent[key]
    elif action < 0.3 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    elif action < 0.4:
        other, there = rng.choice(places)
        parent[key] = copy.deepcopy(other[there])
    else:
        parent[key] = copy.deepcopy(rng.choice(NASTY))


def _places(value: Any) -> Any:
    """Every (container, key) below a value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _damage_bytes(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return rng.choice(
        (
            data[:place],
            data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :],
            data[:place] + data[place:].replace(b"0", b"9", 1),
            data[:place] + rng.choice((b"NaN", b"1e999", b"{", b"[" * 2000, b"9" * 5000, b"\xff")) + data[place:],
        )
    )


def fuzz(folder: Path, seed: int, seconds: float | None = None, rounds: int | None = None) -> Counter[str]:
    """Read damaged files until the time or the rounds are over; count what came of them.

    Raises
    ------
    Exception
        Whatever came out besides `AnnotationError`; the file that did it is left as ``coco.json`` in `folder`.
    """
    rng = random.Random(seed)
    images = folder / "images"
    images.mkdir()
    Image.fromarray(np.zeros(SIZE, dtype=np.uint8)).save(images / "a.png")
    pages = [Image.fromarray(np.zeros(SIZE, dtype=np.uint8))] * 2
    pages[0].save(images / "s.tif", save_all=True, append_images=pages[1:])
    path, counts, start = folder / "coco.json", Counter[str](), time.monotonic()
    store: AnnotationStore | None = None
    while (rounds is None or counts["files"] < rounds) and (seconds is None or time.monotonic() - start < seconds):
        if store is None or counts["files"] % _STORE_LIFE == 0:
            if store is not None:
                store.close()
            store = AnnotationStore.create(folder / f"dataset{counts['files']}", images)
        path.write_bytes(damaged(rng))
        counts["files"] += 1
        counts.update(_read_all(path, images, store, rng))
    if store is not None:
        store.close()
    return counts


def _read_all(path: Path, images: Path, store: AnnotationStore, rng: random.Random) -> list[str]:
    outcomes = []
    try:
        for annotation in read_coco(path).annotations:
            annotation.mask()
        outcomes.append("read")
    except AnnotationError:
        outcomes.append("refused by read_coco")
    try:
        faults = check_coco(path, images if rng.random() < 0.5 else None)
        outcomes.append("checked" if faults else "faultless")
        for fault in faults:
            str(fault).encode("utf-8")
    except AnnotationError:
        outcomes.append("refused by check")
    try:
        merge(store, read_coco_file(path, images), skip_faulty=rng.random() < 0.7)
        outcomes.append("imported")
    except AnnotationError as error:
        str(error).encode("utf-8")
        outcomes.append("refused by import")
    return outcomes


def main() -> int:
    """Fuzz for some time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    choices = parser.parse_args()
    sys.stdout.write(f"seed {choices.seed}\n")
    with tempfile.TemporaryDirectory() as folder:
        try:
            counts = fuzz(Path(folder), choices.seed, choices.seconds)
        except Exception:
            text = (Path(folder) / "coco.json").read_bytes().decode("utf-8", "backslashreplace")
            sys.stdout.write(f"{text[:20_000].encode('utf-8', 'replace').decode()}\n")
            raise
    for outcome, count in counts.most_common():
        sys.stdout.write(f"{count:8d} {outcome}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
