"""JSON files with annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from psalm.errors import AnnotationError


def load_json(path: Path | str, what: str = "a COCO instances file") -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    AnnotationError
        When the file is missing, is no JSON (the message names the line), or holds something else than an object.
    """
    path = Path(path)
    try:
        # Some programs on Windows begin a file with a byte order mark.
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path} is not a JSON file ({error}): give {what}.") from error
    if not isinstance(content, dict):
        raise AnnotationError(f"{path} holds no JSON object: give {what}.")
    return content
