"""Everything in a folder of recorded numbers, one case after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from psalm.errors import CheckpointError
from psalm.parity.backbone import compare_backbone
from psalm.parity.cases import compare_case
from psalm.parity.conversation import compare_conversation
from psalm.parity.findings import Finding
from psalm.parity.golden import GoldenFolder
from psalm.parity.images import compare_image
from psalm.parity.names import compare_names
from psalm.parity.preprocessing import compare_sizes
from psalm.parity.prompts import compare_prompts
from psalm.parity.training import compare_training

Job = tuple[str, Callable[[], list[Finding]]]


def run_parity(path: str | Path, progress: Callable[[int, int, str], None] | None = None) -> list[Finding]:
    """Compare our code with the published code's recorded numbers.

    Parameters
    ----------
    path : str or Path
        A folder with any of: ``cases.json`` with ``cases/`` and ``img_*.safetensors``, ``train.json`` with ``train/``,
        ``preprocess_1024.*``, ``swin_window12.safetensors`` (any ``swin_*``), ``full_state_dict.json``,
        ``real_tokenizer_prompts.json``; models need ``tiny_config.json`` and ``tiny_official.safetensors``.
    progress : callable, optional
        Called with (done, total, name of the case).

    Returns
    -------
    list of Finding
        One per case and stage.

    Raises
    ------
    CheckpointError
        When there is nothing to compare, or a file is missing or damaged.
    """
    folder = GoldenFolder(path)
    jobs = list(_jobs(folder))
    if not jobs:
        raise CheckpointError(f"{folder.path} holds no recorded numbers: give a folder with cases.json or train.json.")
    findings: list[Finding] = []
    for done, (name, job) in enumerate(jobs):
        if progress:
            progress(done, len(jobs), name)
        findings += job()
    if progress:
        progress(len(jobs), len(jobs), "")
    return findings


def _jobs(folder: GoldenFolder) -> Iterator[Job]:
    if folder.has("full_state_dict.json"):
        yield "full size", partial(compare_names, "full size", folder.json("full_state_dict.json"))
    if folder.has("real_tokenizer_prompts.json"):
        yield "prompts", partial(compare_prompts, "prompts", folder.json("real_tokenizer_prompts.json"))
    for file in sorted(folder.path.glob("preprocess_*.json")):
        tensors = folder.tensors(f"{file.stem}.safetensors")
        yield file.stem, partial(compare_sizes, folder.json(file.name), tensors)
    for file in sorted(folder.path.glob("swin_*.safetensors")):
        yield file.stem, partial(compare_backbone, file.stem, folder.tensors(file.name))
    yield from _model_jobs(folder)


def _model_jobs(folder: GoldenFolder) -> Iterator[Job]:
    images, cases = sorted(folder.path.glob("img_*.safetensors")), folder.json("cases.json")
    model = folder.model() if images or cases else None
    if model is not None:
        for file in images:
            name = file.stem.removeprefix("img_")
            yield f"image {name}", partial(compare_image, name, folder.tensors(file.name), model)
        for name, facts in cases.items():
            yield name, partial(compare_case, name, facts, folder, model)
    for name, facts in folder.json("train.json").items():
        compare = compare_training if "match" in facts else compare_conversation
        yield name, partial(compare, name, facts, folder)
