"""``psalm evaluate``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from psalm.cli.console import DeviceOption, ModelOption, check_device, console, progress_bar
from psalm.conditions import RegionKind, Task

if TYPE_CHECKING:
    from psalm.evaluation.benchmark import Benchmark
    from psalm.evaluation.processes import OpenBenchmark, OpenPredictor

_FILE, _NAMED = "A COCO file of your own", "A published data set"


def evaluate(
    benchmark: Annotated[
        str | None,
        typer.Option(help="Name of a data set with its metric; a wrong name lists all.", rich_help_panel=_NAMED),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Its folder, or a folder of data sets.", rich_help_panel=_NAMED)
    ] = None,
    protocol: Annotated[
        Literal["published", "paper"], typer.Option(help="How sentences are asked.", rich_help_panel=_NAMED)
    ] = "published",
    synonyms: Annotated[
        Literal["published", "joined", "first", "each"],
        typer.Option(help="How the synonyms of a class are asked.", rich_help_panel=_NAMED),
    ] = "published",
    synonym_file: Annotated[
        Path | None,
        typer.Option(help="Synonyms instead of the data set's: 'name: synonym, ...'.", rich_help_panel=_NAMED),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="The file of COCO-Interactive, where not in --data.", rich_help_panel=_NAMED)
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Most names or regions in one prompt.", rich_help_panel=_NAMED)
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder in which the annotations' file names start.", rich_help_panel=_FILE)
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="COCO instances file with the truth.", rich_help_panel=_FILE)
    ] = None,
    task: Annotated[Task | None, typer.Option(help="What is asked of each image.", rich_help_panel=_FILE)] = None,
    refs: Annotated[
        Path | None,
        typer.Option(
            help="For referring: the sentences; refs.json beside the annotations by default.", rich_help_panel=_FILE
        ),
    ] = None,
    prompt: Annotated[RegionKind | None, typer.Option(help="For interactive: the mark made for each object.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split; val of a published data set.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many images or videos, spread evenly.")] = None,
    tiles: Annotated[
        str, typer.Option(help="Ask in tiles: auto, a side in pixels or objects:SIZE, as psalm prelabel does.")
    ] = "off",
    model: ModelOption = "psalm-tiny",
    device: DeviceOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that are asked together.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Processes, each with the model; one GPU each.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder of records: an interrupted run goes on with it.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the records in --out away.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write all figures to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write a table with published figures.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Also draw the best, median and worst cases.")] = None,
) -> None:
    """Measure a model on a published data set or a COCO file, as the field measures it."""
    from psalm.evaluation.predictor import open_named
    from psalm.evaluation.tiled import open_tiled
    from psalm.prelabel.tiles import read_tiles

    if benchmark is None:
        wrong = {"--data": data, "--synonym-file": synonym_file, "--prompts": prompts, "--at-once": at_once}
        for name, value in (
            wrong | {"--protocol": protocol != "published", "--synonyms": synonyms != "published"}
        ).items():
            if value:
                raise typer.BadParameter(f"{name} needs --benchmark.")
        if images is None or annotations is None or task is None:
            raise typer.BadParameter("Give --benchmark and --data, or --images, --annotations and --task.")
        opening = _coco_file(annotations, images, task, prompt, split, limit, refs)
        limit = None  # the images of the file are chosen when it is opened
    else:
        if images or annotations or task or refs:
            raise typer.BadParameter("--benchmark knows its images, annotations, task and refs: leave them out.")
        if data is None:
            raise typer.BadParameter("--benchmark needs --data: the folder with the data set.")
        text = {name: None if path is None else str(path) for name, path in (("s", synonym_file), ("p", prompts))}
        opening = _named(
            name=benchmark, folder=str(data), split=split or "val", protocol=protocol, prompt=prompt, file=text["p"],
            synonyms=synonyms, synonym_file=text["s"], at_once=at_once,
        )  # fmt: skip
    plan = read_tiles(tiles)
    if plan and batch_size > 1:
        raise typer.BadParameter("--tiles asks about one image after the other: leave --batch-size out.")
    load = partial(open_named, model) if plan is None else partial(open_tiled, model, plan)
    result = _run(opening, load, device, batch_size, processes, out, fresh, limit, pictures)
    _tell(result, json_file, markdown, pictures)


def _named(**values: Any) -> OpenBenchmark:
    from psalm.evaluation import BenchmarkChoice, open_benchmark

    return partial(open_benchmark, BenchmarkChoice(**values))


def _coco_file(annotations: Path, images: Path, *rest: Any) -> OpenBenchmark:
    from psalm.evaluation import open_coco_file

    return partial(open_coco_file, annotations, images, *rest)


def _run(
    opening: OpenBenchmark,
    load: OpenPredictor,
    device: str | None,
    batch_size: int,
    processes: int,
    out: Path | None,
    fresh: bool,
    limit: int | None,
    pictures: Path | None,
) -> dict[str, Any]:
    from tempfile import TemporaryDirectory

    from psalm.evaluation.engine import identity, run_benchmark
    from psalm.evaluation.processes import run_in_processes
    from psalm.evaluation.records import RecordFolder

    with console.status("Opening the data ..."):
        benchmark = opening()
    with TemporaryDirectory() as temporary:
        folder = out or Path(temporary)
        if processes > 1:
            with progress_bar("Evaluating") as show:
                result = run_in_processes(
                    opening, load, _devices(device, processes), folder, batch_size, limit, fresh,
                    lambda done, total: show(done, total, ""),
                )  # fmt: skip
            predictor = load(device) if pictures else None
        else:
            check_device(device)
            with console.status("Loading the model ..."):
                predictor = load(device)
            console.print(f"{escape(predictor.config.name)} on {predictor.device}", highlight=False)
            records = RecordFolder(folder, identity(benchmark, predictor), fresh)
            with progress_bar("Evaluating") as show:
                result = run_benchmark(
                    benchmark, predictor, records, batch_size, limit, lambda done, total: show(done, total, "")
                )
            result["model"] = predictor.config.name
        if pictures and predictor is not None:
            _draw(pictures, benchmark, predictor, folder, limit)
    return _plain(benchmark, result)


def _draw(pictures: Path, benchmark: Benchmark, predictor: Any, folder: Path, limit: int | None) -> None:
    from psalm.evaluation.engine import choose_items, identity
    from psalm.evaluation.pictures import write_pictures
    from psalm.evaluation.records import RecordFolder

    known = RecordFolder(folder, identity(benchmark, predictor)).read()
    chosen = {item: known[item] for item in choose_items(benchmark, limit)}
    with console.status("Drawing ..."):
        write_pictures(pictures, benchmark, predictor, chosen)


def _devices(device: str | None, processes: int) -> list[str | None]:
    """The GPUs in turn, where there are some and none was asked for."""
    import torch

    count = torch.cuda.device_count()
    if device is not None or not count:
        return [device] * processes
    return [f"cuda:{number % count}" for number in range(processes)]


def _plain(benchmark: Benchmark, result: dict[str, Any]) -> dict[str, Any]:
    """A COCO file's result under the names that `psalm.evaluation.evaluate` gives it."""
    if "task" not in benchmark.settings:
        return result
    asked = {"task": benchmark.settings["task"], "prompt": benchmark.settings["prompt"]}
    rest = {key: value for key, value in result.items() if key not in ("benchmark", "settings", "items")}
    return asked | rest | {"split": benchmark.split or None, "images": len(benchmark)}


def _tell(result: dict[str, Any], json_file: Path | None, markdown: Path | None, pictures: Path | None) -> None:
    from psalm.evaluation import format_markdown, format_report
    from psalm.files import write_text

    console.print(format_report(result), highlight=False, markup=False, soft_wrap=True)
    if json_file:
        write_text(json_file, json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        console.print(f"\nAll figures: {escape(str(json_file))}", highlight=False, soft_wrap=True)
    if markdown:
        write_text(markdown, format_markdown(result))
        console.print(f"Table: {escape(str(markdown))}", highlight=False, soft_wrap=True)
    if pictures:
        console.print(f"Pictures: {escape(str(pictures))}", highlight=False, soft_wrap=True)
