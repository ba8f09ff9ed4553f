"""Figures as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def format_report(result: Mapping[str, Any], most_categories: int = 20) -> str:
    """A result of `evaluate` or `run_benchmark` as tables.

    Parameters
    ----------
    result : mapping
    most_categories : int
        How many rows of a table to list; the result itself has all.
    """
    lines = [", ".join(part for part in _asked(result) if part), "", *_table({"overall": result["overall"]})]
    for key, groups in result.items():
        if key.startswith("per_") and groups:
            shown = dict(list(groups.items())[:most_categories])
            lines += ["", *_table(shown, key.removeprefix("per_"))]
            hidden = len(groups) - len(shown)
            lines += [f"... and {hidden} more"] if hidden else []
    return "\n".join([*lines, *(f"\nNote: {note}" for note in result["notes"])])


def _asked(result: Mapping[str, Any]) -> list[str]:
    if "benchmark" in result:
        return [str(result["benchmark"]), str(result["split"]), f"{result['items']} items"]
    return [str(result["task"]), result["prompt"] and f"prompt {result['prompt']}", f"{result['images']} images"]


def _table(groups: Mapping[str, Mapping[str, Any]], title: str = "") -> list[str]:
    columns = list(next(iter(groups.values())))
    rows = [[title, *columns], *([name, *(_text(group[c]) for c in columns)] for name, group in groups.items())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns) + 1)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
