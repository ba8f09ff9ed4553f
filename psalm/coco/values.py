"""Values of a JSON file that somebody else wrote."""

from __future__ import annotations

import math
import reprlib
from typing import Any

# JavaScript and databases keep whole numbers exactly up to here.
_LARGEST = 2**53


def as_number(value: Any) -> float | None:
    """A finite number; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_count(value: Any) -> int | None:
    """A whole number from 0, also when it is written as 3.0 or "3"; None for everything else."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdecimal() and len(value) < 17 else None
    number = as_number(value)
    return None if number is None or number < 0 or number > _LARGEST or number != int(number) else int(number)


def as_key(value: Any) -> int | str | None:
    """An id: a whole number from 0, or some text that is no number; None for everything else."""
    count = as_count(value)
    if count is not None:
        return count
    text = as_text(value)
    return text if text and not _is_numeric(text) else None


def as_text(value: Any) -> str | None:
    """Text that can be written as UTF-8; None for everything else."""
    if not isinstance(value, str):
        return None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return value


def shown(value: Any) -> str:
    """A value in a message, shortened."""
    return reprlib.repr(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
