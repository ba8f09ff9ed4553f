"""``psalm prelabel``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from psalm.cli.console import (
    DeviceOption,
    ModelOption,
    Precision,
    PrecisionOption,
    check_device,
    console,
    open_predictor,
    progress_bar,
)
from psalm.conditions import CategoryCondition, Condition, SentenceCondition
from psalm.errors import ConditionError, UnknownNameWarning

if TYPE_CHECKING:
    from psalm.prelabel import Failure, PrelabelReport
    from psalm.prelabel.records import Engine, ModelChoice

SOME_FAILED = 3
INTERRUPTED = 130
_MOST_FAILURES = 20


class ExistingChoice(str, Enum):
    """What happens to images that were labelled before."""

    ADD = "add"
    REPLACE = "replace"
    LEAVE = "leave"


def prelabel(
    folder: Annotated[Path, typer.Argument(help="Folder of images; its subfolders are searched too.")],
    out: Annotated[Path, typer.Option(help="Dataset folder; a second run goes on with it.")],
    classes: Annotated[
        str | None,
        typer.Option(help="Class list: names with commas between them, or a text file with a name per line."),
    ] = None,
    sentence: Annotated[
        list[str] | None, typer.Option(help="A sentence that names an object; may be given several times.")
    ] = None,
    exemplar: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGE:MASK[=NAME]",
            help="A marked object whose like is looked for: an image and a mask of it; may be given several times.",
        ),
    ] = None,
    model: ModelOption = "psalm-tiny",
    device: DeviceOption = None,
    precision: PrecisionOption = Precision.FLOAT32,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of an object; the model's own when not given.")
    ] = None,
    existing: Annotated[
        ExistingChoice | None,
        typer.Option(
            help="Images that were labelled before and that no person has taken up: add what is not there yet, replace "
            "the model's untouched objects, or leave them. Needed when the question is another one.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine, one model each.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address of a Dask cluster that you trust, tcp://host:8786; its workers need the images."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images per pass of the model; fits the device when not given.")
    ] = None,
    tiles: Annotated[
        str,
        typer.Option(
            metavar="auto|off|SIZE|objects:SIZE",
            help="Cut images into tiles: auto, those with a side of more than twice the model's input and those with "
            "more objects than it finds at once; or tiles of SIZE pixels; or as objects of SIZE pixels need it.",
        ),
    ] = "auto",
    overlays: Annotated[bool, typer.Option("--overlays", help="Also draw a picture per image.")] = False,
) -> None:
    """Label a folder with a class list, sentences or marked examples; a run that was stopped goes on where it was.

    Exit codes: 0 all images are labelled, 1 the run could not be made, 2 wrong use, 3 some images could not be
    labelled, 130 stopped by Ctrl+C.
    """
    from psalm.prelabel import find_images, label_folder
    from psalm.prelabel.exemplar_files import read_exemplar
    from psalm.prelabel.questions import folder_prompts
    from psalm.prelabel.records import ModelChoice
    from psalm.prelabel.tiles import name_tiles, read_tiles

    if classes is None and not sentence and not exemplar:
        raise typer.BadParameter("Say what to look for: --classes, --sentence or --exemplar, or several of them.")
    if scheduler and workers > 1:
        raise typer.BadParameter("Give --workers or --scheduler, not both.")
    conditions: list[Condition] = [] if classes is None else [CategoryCondition(read_classes(classes))]
    conditions += [SentenceCondition(text) for text in sentence or ()]
    prompts = folder_prompts(conditions, [read_exemplar(text) for text in exemplar or ()], folder)
    choice: Any = existing.value if existing else None
    plan = read_tiles(tiles)
    warn_of_names(model, conditions)
    if dry_run:
        return show_plan(folder, out, prompts, threshold, choice, name_tiles(plan))
    find_images(folder, skip=out)  # a wrong path should not have to wait for the model
    wanted = ModelChoice(model, device, threshold, plan, precision.value)
    engine = open_engine(wanted, folder, conditions, workers, scheduler, batch)
    try:
        with progress_bar("Labelling", "images/s") as progress:
            report = label_folder(
                folder,
                out,
                prompts,
                engine,
                score_threshold=threshold,
                existing=choice,
                overlays=overlays,
                tiles=plan,
                progress=progress,
            )
    except KeyboardInterrupt:
        console.print("Stopped. What was labelled is kept: the same command goes on.", highlight=False)
        raise typer.Exit(INTERRUPTED) from None
    show_result(report)
    if report.failures:
        raise typer.Exit(SOME_FAILED)


def warn_of_names(model: str, conditions: Sequence[Condition]) -> None:
    """Say which names of the class lists the model was never trained on, once and not for every image."""
    from psalm.known_names import KnownNames

    warnings.simplefilter("ignore", UnknownNameWarning)
    names = [name for condition in conditions if isinstance(condition, CategoryCondition) for name in condition.names]
    if message := KnownNames.of_model(model).warning(names):
        hint = f"psalm info --model {model} lists all."
        console.print(f"[yellow]Warning:[/] {escape(message)} {escape(hint)}", highlight=False, soft_wrap=True)


def open_engine(
    choice: ModelChoice,
    image_root: Path,
    conditions: list[Condition],
    workers: int,
    scheduler: str | None,
    batch: int | None,
) -> Engine:
    """What labels: this process, several, or a cluster."""
    if scheduler:
        from psalm.prelabel.cluster import ClusterEngine

        return ClusterEngine(scheduler, choice, image_root, batch or 1)
    if workers > 1:
        from psalm.prelabel.processes import ProcessEngine
        from psalm.prelabel.worker import load_one_of

        check_device(choice.device)
        return ProcessEngine(partial(load_one_of, choice, image_root.resolve(), workers), workers, batch or 1)
    from psalm.prelabel.batch_size import choose_batch_size
    from psalm.prelabel.labelling import Labeller
    from psalm.prelabel.pipeline import HereEngine

    predictor = open_predictor(choice.name, choice.device, Precision(choice.precision))
    labeller = Labeller(predictor, image_root, choice.score_threshold, choice.tiles)
    return HereEngine(labeller, batch or choose_batch_size(predictor, conditions))


def read_classes(text: str) -> tuple[str, ...]:
    """The names of a class list: separated by commas, or lines of the file that `text` names.

    Raises
    ------
    ConditionError
        When `text` looks like a file that does not exist, or the file is not text.
    """
    path = Path(text)
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConditionError(f"The class list {path} cannot be read ({error}): give a text file.") from error
    elif path.suffix.lower() in (".txt", ".csv"):
        raise ConditionError(f"There is no file {path}: check the path, or give names with commas between them.")
    return tuple(name.strip() for name in text.replace("\n", ",").split(",") if name.strip())


def show_plan(
    folder: Path,
    out: Path,
    prompts: tuple[dict[str, Any], ...],
    threshold: float | None,
    existing: Any,
    tiles: str,
) -> None:
    """What a run would do."""
    from psalm.prelabel.plan import make_plan

    plan = make_plan(folder, out, prompts, threshold, existing, tiles)
    say = partial(console.print, highlight=False, soft_wrap=True)
    say(f"{plan.new_files} new files and {plan.waiting} images of the dataset would be labelled.")
    if plan.again:
        say(f"{plan.again} images that were labelled before would be asked again.")
        say(f"{plan.removed} objects that nobody touched would make way for the new ones, {plan.kept} would stay.")
    say(f"{plan.left} images would be left as they are, {plan.taken_up} of them because a person has taken them up.")
    say("Nothing was changed.")


def show_result(report: PrelabelReport) -> None:
    """What a run did."""
    say = partial(console.print, highlight=False, soft_wrap=True)
    kept = f", {report.kept} kept as they were" if report.kept else ""
    rate = f" ({report.images / report.seconds:.2f} images/s)" if report.images and report.seconds else ""
    say(f"{report.images} images labelled, {report.objects} objects{kept}{rate}")
    if report.tiled:
        subject = "1 image was" if report.tiled == 1 else f"{report.tiled} images were"
        say(f"{subject} asked in tiles, for size or number of objects; --tiles off asks every image as a whole.")
    show_doubts(report.doubts)
    say(f"COCO file: {escape(str(report.annotations))}")
    say(f"Report: {escape(report.page.resolve().as_uri())}")
    show_failures(report.failures)


def show_failures(failures: Sequence[Failure]) -> None:
    """The images that could not be labelled, the first ones by name."""
    if failures:
        console.print(f"[yellow]{len(failures)} images could not be labelled:[/]", highlight=False, soft_wrap=True)
        _show_first(failures)


def show_doubts(doubts: Sequence[Failure]) -> None:
    """The images that tiles of the given size may not fit, the first ones by name."""
    if doubts:
        images = "1 image" if len(doubts) == 1 else f"{len(doubts)} images"
        console.print(f"[yellow]The tiles may not fit {images}:[/]", highlight=False, soft_wrap=True)
        _show_first(doubts)


def _show_first(reasons: Sequence[Failure]) -> None:
    say = partial(console.print, highlight=False, soft_wrap=True)
    for reason in reasons[:_MOST_FAILURES]:
        say(f"  {escape(reason.words)}")
    if len(reasons) > _MOST_FAILURES:
        say(f"  and {len(reasons) - _MOST_FAILURES} more.")
