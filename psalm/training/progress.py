"""What a run tells: a live line, a log of JSON lines and a summary."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from psalm.errors import ConfigError
from psalm.files import write_text

logger = logging.getLogger(__name__)


class RunLog:
    """``log.jsonl`` in the folder of a run: one object per line, with stage and step.

    Parameters
    ----------
    folder : Path
    stage, step : int
        Where the run goes on; later lines, from steps that are taken again, are dropped.
    tensorboard : bool
        Also write the figures for TensorBoard, all of them anew when a run goes on.

    Raises
    ------
    ConfigError
        When TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, stage: int = 0, step: int = 0, tensorboard: bool = False) -> None:
        self.path = folder / "log.jsonl"
        kept = [line for line in self.read() if (line["stage"], line["step"]) <= (stage, step)]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self._board = _board(folder / "tensorboard") if tensorboard else None
        for line in kept:
            self._show(line)

    def read(self) -> list[dict[str, Any]]:
        """All lines; one that was cut short is left out."""
        lines = []
        for text in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
        return lines

    def add(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._show(line)

    def _show(self, line: Mapping[str, Any]) -> None:
        """A curve per figure and stage."""
        if self._board is None:
            return
        figures = {name: value for name, value in line.items() if name not in ("stage", "step", "name", "validation")}
        figures |= {f"validation/{name}": value for name, value in line.get("validation", {}).items()}
        for name, value in figures.items():
            self._board.add_scalar(f"{line['name']}/{name}", value, line["step"])
        self._board.flush()


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError("tensorboard needs its package: pip install 'napari-psalm[train]'.") from None
    shutil.rmtree(folder, ignore_errors=True)
    return SummaryWriter(folder)


class LiveProgress:
    """A bar on the terminal, or lines in the Python log where there is no terminal.

    Parameters
    ----------
    shown : bool
        False keeps silent.
    """

    def __init__(self, shown: bool = True) -> None:
        self._terminal = shown and sys.stderr.isatty()
        self._lines = shown and not self._terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self._terminal,
        )
        self._task = self._bar.add_task("", total=None, figures="", visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def stage(self, name: str, steps: int, start: int) -> None:
        """A stage begins, or goes on, at step `start`."""
        self._bar.reset(self._task, description=name, total=steps, completed=start, visible=True)

    def describing(self, done: int, total: int) -> None:
        """So many images of a collection are described."""
        self._bar.reset(self._task, description="describing images", total=total, completed=done, visible=True)
        if self._lines and done % 500 == 0:
            logger.info("describing images: %d of %d", done, total)

    def step(self, done: int) -> None:
        """So many steps of the stage are done."""
        self._bar.update(self._task, completed=done)

    def tell(self, what: str, figures: Mapping[str, float]) -> None:
        """Show figures under the heading `what`; the bar has room for the loss alone."""
        text = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
        if "loss" in figures:
            self._bar.update(self._task, figures=f"loss {figures['loss']:.4g}")
        elif self._terminal:
            self._bar.console.print(f"[bold]{what}[/bold]  {text}", highlight=False)
        if self._lines:
            logger.info("%s: %s", what, text)
