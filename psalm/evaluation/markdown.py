"""Figures as Markdown, beside those that others have published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psalm.evaluation.published_results import published_results

# The figures that tables of the field show, with the names they have there; shown first and in this order.
HEADLINES = {
    "pq": "PQ", "sq": "SQ", "rq": "RQ", "pq_things": "PQ things", "pq_stuff": "PQ stuff", "ap": "AP", "ap50": "AP50",
    "ap75": "AP75", "ap_small": "AP small", "ap_medium": "AP medium", "ap_large": "AP large", "ap_rare": "AP rare",
    "ap_common": "AP common", "ap_frequent": "AP frequent", "miou": "mIoU", "ciou": "cIoU", "giou": "gIoU",
    "mean_iou": "mIoU", "no_target_accuracy": "N-acc.", "target_accuracy": "T-acc.", "j_and_f": "J&F", "j_mean": "J",
    "f_mean": "F",
}  # fmt: skip
_COUNTS = frozenset({"images", "objects", "sentences", "references", "videos", "categories", "without_target"})


def format_markdown(result: Mapping[str, Any], most_rows: int = 200) -> str:
    """A result as a Markdown page: the comparison first, then every table, the notes and the sources.

    Parameters
    ----------
    result : mapping
        From `psalm.evaluation.engine.run_benchmark` or `psalm.evaluation.evaluate`; ``model`` names the row.
    most_rows : int
        How many rows of a table to show.
    """
    name = result.get("benchmark") or result["task"]
    split = result.get("split") or ""
    items = result.get("items", result.get("images"))
    lines = [f"# {name} {split}".rstrip(), "", f"{items} items, model {result.get('model', 'unnamed')}.", ""]
    table, sources = _comparison(result, str(name), str(split))
    lines += [*table, "", "## All figures", "", *_rows_table({"overall": result["overall"]}, "", most_rows), ""]
    for key, rows in result.items():
        if key.startswith("per_") and rows:
            title = key.removeprefix("per_")
            lines += [f"## By {title}", "", *_rows_table(rows, title, most_rows), ""]
    lines += [f"* {note}" for note in result.get("notes", ())]
    lines += ["", *sources] if sources else []
    return "\n".join(lines).rstrip() + "\n"


def _comparison(result: Mapping[str, Any], name: str, split: str) -> tuple[list[str], list[str]]:
    """One row for the model and one per published result; figures that nobody has are left out."""
    others = published_results(name, split)
    ours = result["overall"]
    columns = [key for key in HEADLINES if key in ours or any(key in other.figures for other in others)]
    sources = list(dict.fromkeys(other.source for other in others))
    rows = [["model", *(HEADLINES[key] for key in columns), "source"]]
    rows.append([f"**{result.get('model', 'this model')}**", *(_percent(ours.get(key)) for key in columns), "measured"])
    for other in others:
        remark = f" ({other.remark})" if other.remark else ""
        cells = [_text(other.figures.get(key)) for key in columns]
        rows.append([f"{other.model}{remark}", *cells, f"[{sources.index(other.source) + 1}]"])
    return _table(rows), [f"[{number}] {source}" for number, source in enumerate(sources, start=1)]


def _rows_table(groups: Mapping[str, Mapping[str, Any]], title: str, most: int) -> list[str]:
    columns = list(dict.fromkeys(key for figures in groups.values() for key in figures))
    rows = [[title, *(HEADLINES.get(key, key.replace("_", " ")) for key in columns)]]
    for name, figures in list(groups.items())[:most]:
        cells = (str(figures[k]) if k in _COUNTS and k in figures else _percent(figures.get(k)) for k in columns)
        rows.append([name, *cells])
    hidden = len(groups) - most
    return _table(rows) + ([f"\n... and {hidden} more"] if hidden > 0 else [])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    ruler = ["---", *["---:"] * (len(rows[0]) - 1)]
    return [f"| {' | '.join(row)} |" for row in (escaped[0], ruler, *escaped[1:])]


def _percent(value: Any) -> str:
    """A share as a percentage; empty where there was nothing to judge."""
    return _text(None if value is None else 100 * float(value))


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
