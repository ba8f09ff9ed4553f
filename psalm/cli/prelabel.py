"""``psalm prelabel``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from psalm.cli.console import DeviceOption, ModelOption, console, open_predictor, progress_bar
from psalm.conditions import CategoryCondition, Condition, SentenceCondition
from psalm.errors import ConditionError

if TYPE_CHECKING:
    from psalm.prelabel import PrelabelReport


def prelabel(
    folder: Annotated[Path, typer.Argument(help="Folder of images; its subfolders are searched too.")],
    out: Annotated[Path, typer.Option(help="Folder for the result; a second run goes on with it.")],
    classes: Annotated[
        str | None,
        typer.Option(help="Class list: names with commas between them, or a text file with a name per line."),
    ] = None,
    sentence: Annotated[
        list[str] | None, typer.Option(help="A sentence that names an object; may be given several times.")
    ] = None,
    model: ModelOption = "psalm-tiny",
    device: DeviceOption = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of an object; the model's own when not given.")
    ] = None,
    overlays: Annotated[bool, typer.Option("--overlays", help="Also draw a picture per image.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")] = False,
) -> None:
    """Label a folder of images with a class list or sentences, as one COCO file."""
    from psalm.prelabel import find_images
    from psalm.prelabel import prelabel as label_folder

    if classes is None and not sentence:
        raise typer.BadParameter("Say what to look for: --classes, --sentence, or both.")
    conditions: list[Condition] = [] if classes is None else [CategoryCondition(read_classes(classes))]
    conditions += [SentenceCondition(text) for text in sentence or ()]
    find_images(folder, skip=out)  # a wrong path should not have to wait for the model
    predictor = open_predictor(model, device)
    with progress_bar("Labelling") as progress:
        report = label_folder(
            folder,
            out,
            conditions,
            predictor,
            score_threshold=threshold,
            overlays=overlays,
            overwrite=overwrite,
            progress=progress,
        )
    _show(report)


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


def _show(report: PrelabelReport) -> None:
    kept = f", {report.kept} kept from an earlier run" if report.kept else ""
    console.print(
        f"{report.images} images labelled, {report.objects} objects{kept}: {escape(str(report.annotations))}",
        highlight=False,
        soft_wrap=True,
    )
    if report.failures:
        console.print(f"[yellow]{len(report.failures)} images could not be labelled:[/]", highlight=False)
        for failure in report.failures:
            console.print(f"  {escape(failure.file_name)}: {escape(failure.reason)}", highlight=False, soft_wrap=True)
