"""What a run would change, without a model and without writing anything."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from psalm.errors import OutputError
from psalm.prelabel.dataset import COCO_NAME, Existing, Run, goes_on, read_runs
from psalm.prelabel.folder import count_pages, known_pages, waits
from psalm.prelabel.scanning import find_images
from psalm.store import AnnotationStore, ImageState


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Parameters
    ----------
    new_files : int
        Files that the dataset does not know.
    waiting : int
        Images of the dataset that were not labelled yet, or failed.
    again : int
        Labelled images that would be asked again.
    removed, kept : int
        Objects on them that would make way for new ones, and that would stay.
    left : int
        Images that would stay as they are.
    taken_up : int
        Of them, those in review, verified or skipped by a person.
    """

    new_files: int = 0
    waiting: int = 0
    again: int = 0
    removed: int = 0
    kept: int = 0
    left: int = 0
    taken_up: int = 0


def make_plan(
    folder: Path | str,
    out: Path | str,
    prompts: tuple[Mapping[str, Any], ...],
    score_threshold: float | None = None,
    existing: Existing | None = None,
    tiles: str = "",
) -> Plan:
    """Find out what `psalm.prelabel.prelabel` would do.

    Parameters
    ----------
    folder, out, score_threshold, existing
        As there.
    prompts : tuple of mapping
        From `psalm.prelabel.questions.folder_prompts`.
    tiles : str
        As `Run.tiles`.

    Raises
    ------
    ImageError
        When the folder holds no image.
    OutputError
        When the run would be refused.
    """
    folder, out = Path(folder), Path(out)
    files = find_images(folder, skip=out)
    if not AnnotationStore.exists(out):
        if (out / COCO_NAME).exists():
            raise OutputError(f"{out} holds the result of an earlier version: it is taken over by a run, not before.")
        return Plan(new_files=len(files))
    with closing(AnnotationStore.open(out, read_only=True)) as store:
        runs = read_runs(store)
        last = runs[-1] if runs else Run(prompts, "", "")
        # The model is not loaded, so it is taken for the one of the last run.
        asked = replace(last, prompts=prompts, score_threshold=score_threshold, tiles=tiles)
        new_run = not goes_on(runs, asked, existing)
        plan = Plan()
        for path in files:
            plan = _with_file(plan, store, path, path.relative_to(folder).as_posix(), existing if new_run else None)
        return plan


def _with_file(plan: Plan, store: AnnotationStore, path: Path, name: str, existing: Existing | None) -> Plan:
    images = known_pages(store, name)
    if not images:
        known = store.find_image(name)
        return replace(plan, waiting=plan.waiting + count_pages(path)) if known else _one_more(plan, "new_files")
    for image in images:
        if waits(image):
            plan = _one_more(plan, "waiting")
        elif image.state is ImageState.PREDICTED and existing in ("add", "replace"):
            objects = store.objects(image.id)
            gone = sum(found.provenance.unreviewed for found in objects) if existing == "replace" else 0
            plan = replace(
                plan, again=plan.again + 1, removed=plan.removed + gone, kept=plan.kept + len(objects) - gone
            )
        else:
            plan = _one_more(plan, "left")
            plan = plan if image.state.open_to_batch else _one_more(plan, "taken_up")
    return plan


def _one_more(plan: Plan, what: str) -> Plan:
    return replace(plan, **{what: getattr(plan, what) + 1})
