"""Check a COCO file: every fault, and its cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psalm.coco.annotation_inspection import inspect_annotations
from psalm.coco.faults import Fault
from psalm.coco.inspection import Inspection, inspect_categories, inspect_images
from psalm.coco.loading import load_json
from psalm.coco.self_test import open_with_pycocotools, unmatched
from psalm.errors import AnnotationError

_NO_NUMBER = re.compile(r"(?<=[\s:,\[])-?(?:NaN|Infinity)(?=[\s,\]}])")


def check_coco(path: Path | str, images: Path | str | None = None) -> list[Fault]:
    """Every fault of a COCO instances file.

    Its entries are checked one by one; when they hold together, pycocotools loads the file, and COCOeval must find
    every object in the file itself.

    Parameters
    ----------
    path : path
    images : path, optional
        Folder in which the file names start; the files are looked for and their sizes compared.

    Returns
    -------
    list of Fault
        Empty when there is nothing to complain about.

    Raises
    ------
    AnnotationError
        When the file cannot be read or is no JSON object.
    """
    path = Path(path)
    content = load_json(path)
    found = inspect(content, None if images is None else Path(images))
    faults = [*_strange_numbers(path), *_missing_heads(content), *found.faults]
    if not any(fault.fatal for fault in faults):
        faults.extend(_evaluate(content))
    return faults


def inspect(content: Mapping[str, Any], images: Path | None = None) -> Inspection:
    """Look through the content of a COCO file; it never raises, faults are in the result."""
    found = Inspection()
    inspect_images(found, content, images)
    inspect_categories(found, content)
    inspect_annotations(found, content)
    return found


def _strange_numbers(path: Path) -> list[Fault]:
    text = path.read_text(encoding="utf-8-sig")
    if "NaN" not in text and "Infinity" not in text:
        return []
    cure = "write numbers, or null; JSON knows no NaN and no Infinity, and strict readers refuse the file"
    return [
        Fault("no JSON number", f"line {number}", f"there is {match.group()}", cure)
        for number, line in enumerate(text.splitlines(), start=1)
        for match in _NO_NUMBER.finditer(line)
    ]


def _missing_heads(content: Mapping[str, Any]) -> list[Fault]:
    cure = "write it, be it empty; some loaders ask for it"
    missing = [key for key in ("info", "licenses") if key not in content]
    return [Fault("head", key, f"the file has no {key!r}", cure, fatal=False) for key in missing]


def _evaluate(content: Mapping[str, Any]) -> list[Fault]:
    cure = "mend the faults above, and check again"
    try:
        lost = unmatched(open_with_pycocotools(content))
    except AnnotationError as error:
        return [Fault("evaluation", "file", str(error).rstrip("."), cure, fatal=False)]
    what = "COCOeval does not find the object in its own file, so the average precision is below 1"
    return [Fault("evaluation", f"annotation {key!r}", what, cure, fatal=False) for key in lost]
