"""What a leg weighs, and whether it may travel."""

from __future__ import annotations

from pathlib import Path

from psalm.errors import OutputError

MIB = 1024 * 1024
DEFAULT_MIB = 60.0


def weigh(*folders: Path) -> dict[str, int]:
    """Bytes of each file or sub-folder at the top of the folders, the biggest first; hidden ones do not count."""
    sizes = {
        path.name: sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size
        for folder in folders
        for path in folder.glob("[!.]*")
    }
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def describe(sizes: dict[str, int]) -> str:
    """The sizes in one line."""
    parts = ", ".join(f"{name} {size / MIB:.1f}" for name, size in sizes.items())
    return f"{sum(sizes.values()) / MIB:.1f} MiB ({parts})"


def check_budget(sizes: dict[str, int], budget: float) -> None:
    """Refuse what is over the budget in MiB.

    Raises
    ------
    OutputError
        With the sizes of the parts.
    """
    if sum(sizes.values()) > budget * MIB:
        raise OutputError(
            f"The leg takes {describe(sizes)}, its budget is {budget:g} MiB: take one --stage, lower --side, "
            "--quality or --per-source, fetch fewer wheels, or raise --budget."
        )
