"""The dataset folder of a run: its store, and what was asked of it before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from psalm.coco import read_coco
from psalm.errors import OutputError
from psalm.prelabel.records import ModelFacts
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance

Existing = Literal["add", "replace", "leave"]
EXISTING: tuple[str, ...] = get_args(Existing)

COCO_NAME = "coco.json"
_RUNS = "prelabel_runs"
_EARLIER_RECORD = "prelabel.json"


@dataclass(frozen=True)
class Run:
    """One question to a folder, as the store remembers it.

    Parameters
    ----------
    prompts : tuple of mapping
        What was asked of every image.
    model, weights : str
        Name of the model and hash of its weights; the hash is empty when it is not known.
    score_threshold : float, optional
    existing : str
        What was done with images that had been labelled before.
    is_finished : bool
    images, objects, failed : int
        So far.
    seconds, model_seconds : float
        Of all sittings, as a clock on the wall has it, and what the models worked, added up over workers.
    description : str
        Where the model ran.
    tiles : str
        Whether large images were cut: auto, off, or the side of a tile; empty when it is not known.
    tiled : int
        Images that were asked in tiles.
    """

    prompts: tuple[Mapping[str, Any], ...] = field(hash=False)
    model: str
    weights: str
    score_threshold: float | None = None
    existing: str = "leave"
    is_finished: bool = False
    images: int = 0
    objects: int = 0
    failed: int = 0
    seconds: float = 0.0
    model_seconds: float = 0.0
    description: str = ""
    tiles: str = ""
    tiled: int = 0

    def differences(self, other: Run) -> list[str]:
        """In which ways another run asks something else."""
        found = [] if self.prompts == other.prompts else ["conditions"]
        found += [] if self.model == other.model else ["model"]
        same_weights = self.weights == other.weights or not (self.weights and other.weights)
        found += [] if same_weights or found[-1:] == ["model"] else ["weights"]
        found += [] if self.score_threshold == other.score_threshold else ["score threshold"]
        same_tiles = self.tiles == other.tiles or not (self.tiles and other.tiles)
        return found + ([] if same_tiles else ["tiles"])


def read_runs(store: AnnotationStore) -> list[Run]:
    """The runs that a store remembers, the latest last."""
    return [Run(**(values | {"prompts": tuple(values["prompts"])})) for values in store.setting(_RUNS, [])]


def write_runs(store: AnnotationStore, runs: list[Run]) -> None:
    """Let a store remember its runs."""
    store.set_setting(_RUNS, [asdict(run) for run in runs])


def open_dataset(folder: Path, image_root: Path) -> AnnotationStore:
    """The store of a dataset folder, made when it is missing; the result of an earlier version is taken over.

    Raises
    ------
    StoreError
        When the folder belongs to other images.
    OutputError
        When it holds a COCO file that is not ours, or cannot be written.
    """
    coco = folder / COCO_NAME
    is_new = not AnnotationStore.exists(folder)
    if is_new and coco.exists() and not (folder / _EARLIER_RECORD).exists():
        raise _foreign(coco)
    store = AnnotationStore.open_or_create(folder, image_root, actor="prelabel")
    try:
        if store.setting(_RUNS) is None:
            if coco.exists() and (folder / _EARLIER_RECORD).exists():
                _take_over(store, coco, folder / _EARLIER_RECORD)
            elif coco.exists():
                raise _foreign(coco)
    except BaseException:
        store.close()
        raise
    return store


def begin(store: AnnotationStore, run: Run, existing: Existing | None) -> Run:
    """Enter a run into the store, or find the one that it goes on with; queue the images that are to be asked again.

    Parameters
    ----------
    store : AnnotationStore
    run : Run
        What is asked now.
    existing : {"add", "replace", "leave"}, optional
        What happens to images that have been labelled and that no person has taken up. When not given, they are left,
        and the question has to be the one of the last run.

    Raises
    ------
    OutputError
        When the last run asked something else and `existing` is not given.
    """
    with store.transaction():
        runs = read_runs(store)
        if goes_on(runs, run, existing):
            begun = runs.pop()
            run = replace(
                begun,
                is_finished=False,
                failed=0,  # they are tried again
                description=run.description,
                weights=run.weights,
                tiles=run.tiles or begun.tiles,
            )
        else:
            run = replace(run, existing=existing or "leave")
            if run.existing != "leave":
                for image_id in store.image_ids(ImageState.PREDICTED):
                    store.set_state(image_id, ImageState.TODO)
        write_runs(store, [*runs, run])
    return run


def goes_on(runs: list[Run], run: Run, existing: Existing | None) -> bool:
    """Whether a run goes on with the last one, instead of being a new one.

    Raises
    ------
    OutputError
        When the last run asked something else and `existing` is not given.
    """
    if not runs:
        return False
    differing = runs[-1].differences(run)
    if differing and existing is None:
        raise OutputError(
            f"The dataset answers another question ({', '.join(differing)} differ): choose another output folder, or "
            "say with --existing whether to add to its objects, replace those that nobody touched, or leave them."
        )
    if differing or existing in ("add", "replace"):
        return not differing and existing == runs[-1].existing and not runs[-1].is_finished
    return True


def provenance(facts: ModelFacts, prompt: Mapping[str, Any]) -> Provenance:
    """Where an object that a model found comes from."""
    return Provenance("model", facts.name, facts.weights, prompt, facts.thresholds)


def _foreign(coco: Path) -> OutputError:
    return OutputError(
        f"{coco} was not written by this command: choose another output folder, or move the file and import it."
    )


def _take_over(store: AnnotationStore, coco: Path, record: Path) -> None:
    """Enter what an earlier version wrote: a COCO file, and a record of the question beside it."""
    try:
        question = json.loads(record.read_text(encoding="utf-8"))["question"]
        conditions, model = question["conditions"], str(question["model"])
        threshold = question.get("score_threshold")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(f"{record} is damaged ({error}): choose another output folder.") from error
    prompts = tuple(
        {"kind": "categories", "names": words} if isinstance(words, list) else {"kind": "sentence", "text": words}
        for words in conditions
    )
    earlier = read_coco(coco)
    thresholds = {} if threshold is None else {"score": threshold}
    with store.transaction():
        ids = {each.id: store.ensure_category(each.name, each.is_thing, each.supercategory, category_id=each.id).id
               for each in earlier.categories}  # fmt: skip
        for image in earlier.images:
            stored = store.ensure_image(image.file_name, 0, image.height, image.width)
            if stored.state is not ImageState.TODO or store.objects(stored.id):
                continue  # a person has begun with it
            for found in earlier.by_image[image.id]:
                asked = [prompt for prompt in prompts if found.prompt in (prompt.get("text"), *prompt.get("names", ()))]
                origin = Provenance("model", model, "", (asked or prompts)[0], thresholds)
                new = NewObject(ids[found.category_id], found.mask(), None, found.score, origin)
                store.add_objects(stored.id, [new])
            store.set_state(stored.id, ImageState.PREDICTED)
        objects = len(earlier.annotations)
        run = Run(prompts, model, "", threshold, is_finished=True, images=len(earlier.images), objects=objects)
        write_runs(store, [run])
