"""Benchmarks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from psalm.conditions import RegionKind
from psalm.data.datasets import open_dataset
from psalm.data.interactive import KINDS
from psalm.errors import ConditionError
from psalm.evaluation.benchmark import Benchmark
from psalm.evaluation.class_list_benchmarks import (
    ClassListBenchmark,
    InstanceBenchmark,
    PanopticBenchmark,
    SemanticBenchmark,
)
from psalm.evaluation.interactive_benchmark import InteractiveBenchmark
from psalm.evaluation.name_list import Synonyms, read_synonyms
from psalm.evaluation.referring_benchmarks import Protocol, ReferringBenchmark
from psalm.evaluation.video_benchmark import VideoBenchmark

LVIS_AT_ONCE = 200


@dataclass(frozen=True)
class BenchmarkChoice:
    """Which benchmark is run, and how; plain values, so that other processes can open the same one.

    Parameters
    ----------
    name : str
        One of `BENCHMARKS`.
    folder : str
        The data set's folder, or a folder of data sets; see `psalm.data.datasets.open_dataset`.
    split : str
    protocol : {"published", "paper"}
        For referring; see `psalm.evaluation.referring_benchmarks.ReferringBenchmark`.
    prompt : {"point", "scribble", "box", "mask"}, optional
        For coco-interactive; all four when not given.
    file : str, optional
        For coco-interactive: the file with the prompts, where it is not the published one.
    synonyms : {"published", "joined", "first", "each"}
        For class lists; see `psalm.evaluation.name_list.name_list`.
    synonym_file : str, optional
        For class lists: synonyms instead of those of the data set.
    at_once : int, optional
        At most so many names or regions in one prompt; as published when not given.
    """

    name: str
    folder: str
    split: str = "val"
    protocol: Protocol = "published"
    prompt: RegionKind | None = None
    file: str | None = None
    synonyms: Synonyms = "published"
    synonym_file: str | None = None
    at_once: int | None = None


def _class_list(data: str, kind: type[ClassListBenchmark]) -> Callable[[BenchmarkChoice], Benchmark]:
    def open_it(choice: BenchmarkChoice) -> Benchmark:
        reader = open_dataset(data, choice.folder, choice.split)
        names = read_synonyms(choice.synonym_file, reader.names) if choice.synonym_file else None
        at_once = choice.at_once or (LVIS_AT_ONCE if data == "lvis" else None)
        return kind(choice.name, choice.split, reader, names, choice.synonyms, at_once)

    return open_it


def _referring(choice: BenchmarkChoice) -> Benchmark:
    reader = open_dataset(choice.name, choice.folder, choice.split)
    return ReferringBenchmark(choice.name, choice.split, reader, choice.protocol)


def _interactive(choice: BenchmarkChoice) -> Benchmark:
    reader = open_dataset("coco-interactive", choice.folder, choice.split, file=choice.file)
    kinds = KINDS if choice.prompt is None else (choice.prompt,)
    return InteractiveBenchmark(choice.split, reader, kinds, choice.at_once)


def _davis(choice: BenchmarkChoice) -> Benchmark:
    return VideoBenchmark(choice.split, open_dataset("davis", choice.folder, choice.split))


BENCHMARKS: dict[str, Callable[[BenchmarkChoice], Benchmark]] = {
    "coco-panoptic": _class_list("coco-panoptic", PanopticBenchmark),
    "coco-instance": _class_list("coco-instances", InstanceBenchmark),
    "coco-semantic": _class_list("coco-semantic", SemanticBenchmark),
    "refcoco": _referring,
    "refcoco+": _referring,
    "refcocog": _referring,
    "grefcoco": _referring,
    "coco-interactive": _interactive,
    "ade20k": _class_list("ade20k", SemanticBenchmark),
    "cityscapes-panoptic": _class_list("cityscapes", PanopticBenchmark),
    "cityscapes-instance": _class_list("cityscapes", InstanceBenchmark),
    "cityscapes-semantic": _class_list("cityscapes", SemanticBenchmark),
    "pascal-context-59": _class_list("pascal-context-59", SemanticBenchmark),
    "pascal-context-459": _class_list("pascal-context-459", SemanticBenchmark),
    "pascal-voc": _class_list("pascal-voc", SemanticBenchmark),
    "pascal-voc-instance": _class_list("pascal-voc", InstanceBenchmark),
    "lvis": _class_list("lvis", InstanceBenchmark),
    "davis": _davis,
}

# Which benchmarks an option concerns.
_CONCERNS = {
    "protocol": ("refcoco", "refcoco+", "refcocog", "grefcoco"),
    "prompt": ("coco-interactive",),
    "file": ("coco-interactive",),
    "synonyms": None,
    "synonym_file": None,
}


def open_benchmark(choice: BenchmarkChoice) -> Benchmark:
    """Open a benchmark and its data.

    Raises
    ------
    ConditionError
        When the name is unknown, or an option does not concern this benchmark.
    AnnotationError
        When the data is missing or damaged.
    """
    if choice.name not in BENCHMARKS:
        raise ConditionError(f"There is no benchmark {choice.name!r}: choose one of {', '.join(BENCHMARKS)}.")
    _check(choice)
    if not Path(choice.folder).is_dir():
        raise ConditionError(f"There is no folder {choice.folder}: give the folder with the data sets.")
    return BENCHMARKS[choice.name](choice)


def _check(choice: BenchmarkChoice) -> None:
    special = {"coco-interactive", "davis", *(_CONCERNS["protocol"] or ())}
    plain = asdict(BenchmarkChoice(choice.name, choice.folder, choice.split))
    given: dict[str, Any] = {key: value for key, value in asdict(choice).items() if value != plain[key]}
    for option in given:
        concerned = _CONCERNS.get(option, (choice.name,))
        fits = choice.name not in special if concerned is None else choice.name in concerned
        if option == "at_once":
            fits = choice.name not in special or choice.name == "coco-interactive"
        if not fits:
            raise ConditionError(f"The benchmark {choice.name} takes no {option.replace('_', '-')}: leave it out.")
