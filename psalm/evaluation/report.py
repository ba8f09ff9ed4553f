"""Figures as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def format_report(result: Mapping[str, Any], most_categories: int = 20) -> str:
    """A result of `evaluate` as a table.

    Parameters
    ----------
    result : mapping
    most_categories : int
        How many categories to list; the result itself has all.
    """
    asked = [str(result["task"]), result["prompt"] and f"prompt {result['prompt']}", f"{result['images']} images"]
    lines = [", ".join(part for part in asked if part), "", *_table({"overall": result["overall"]})]
    if result["per_source"]:
        lines += ["", *_table(result["per_source"], "source")]
    per_category = dict(list(result["per_category"].items())[:most_categories])
    if per_category:
        lines += ["", *_table(per_category, "category")]
        hidden = len(result["per_category"]) - len(per_category)
        lines += [f"... and {hidden} more categories"] if hidden else []
    return "\n".join([*lines, *(f"\nNote: {note}" for note in result["notes"])])


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
