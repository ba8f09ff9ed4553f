"""Ask the recorded prompts of a dataset again, with other weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from psalm.errors import OutputError
from psalm.files import replacing
from psalm.formats.json_lists import write_lists
from psalm.prelabel.dataset import provenance, read_runs
from psalm.prelabel.diff import FORMAT, VERSION, can_be_asked_again, compare, is_open
from psalm.prelabel.records import Engine, Failure, Item, ModelFacts, Outcome
from psalm.prelabel.run import Progress
from psalm.store import AnnotationStore, ImageState, NewObject, StoredImage

DIFF_NAME = "relabel.json"
_JOURNAL = ".relabel.jsonl"


@dataclass(frozen=True)
class RelabelReport:
    """What other weights would change, or did.

    Parameters
    ----------
    path : Path
        ``relabel.json``.
    images : int
        Asked.
    added, removed, changed, unchanged : int
        Objects.
    mean_iou : float
        Of the objects that both models found.
    applied : int
        Images whose changes are in the store now.
    failures : tuple of Failure
    """

    path: Path
    images: int
    added: int
    removed: int
    changed: int
    unchanged: int
    mean_iou: float
    applied: int
    failures: tuple[Failure, ...]


def relabel(
    dataset: Path | str, engine: Engine, *, apply: bool = False, progress: Progress | None = None
) -> RelabelReport:
    """Ask every recorded prompt again and write ``relabel.json``, which says what would be added, removed and changed.

    Only what a model made and nobody edited is compared; verified and skipped images are left out. A run that was
    stopped goes on where it was.

    Parameters
    ----------
    dataset : path
    engine : HereEngine, ProcessEngine or ClusterEngine
        With the other weights; it is started and ended here.
    apply : bool
        Change the store, too, where no person has taken the image up; what a person clicked stays a proposal.
    progress : callable, optional
        Called as ``progress(done, total, file_name)`` after each image.

    Raises
    ------
    StoreError
        When there is no dataset.
    OutputError
        When it cannot be written.
    """
    dataset = Path(dataset)
    failures: list[Failure] = []
    with engine, closing(AnnotationStore.open(dataset, actor="relabel")) as store:
        with closing(_Journal(dataset / _JOURNAL, engine.facts)) as journal:
            counts = store.counts()
            total = counts[ImageState.PREDICTED] + counts[ImageState.IN_REVIEW]
            seen = count(len(journal.done) + 1)
            with closing(engine.outcomes(_items(store, journal.done))) as outcomes:
                for outcome in outcomes:
                    failure = _take(store, outcome, engine.facts, journal, apply)
                    failures += [failure] if failure else []
                    if progress:
                        progress(next(seen), total, outcome.item.name)
        report = _summary(dataset, journal, tuple(failures))
        _write(report, journal, engine.facts)
        journal.path.unlink()
    return report


def _items(store: AnnotationStore, done: set[int]) -> Iterator[Item]:
    folder_prompts = _prompts_of_runs(store)
    for image in store.images():
        if image.state in (ImageState.PREDICTED, ImageState.IN_REVIEW) and image.id not in done:
            recorded = [each.provenance.prompt for each in store.objects(image.id) if can_be_asked_again(each)]
            # An image on which nothing was found was asked, too.
            asked = folder_prompts if image.state is ImageState.PREDICTED else []
            prompts = _distinct([*asked, *(prompt for prompt in recorded if prompt.get("kind") in _KINDS)])
            if prompts:
                yield Item(image.id, image.path, image.page, prompts)


_KINDS = ("categories", "sentence", "exemplar", "regions")


def _prompts_of_runs(store: AnnotationStore) -> list[Mapping[str, Any]]:
    """What the last run that replaced the objects asked, and those after it."""
    prompts: list[Mapping[str, Any]] = []
    for run in read_runs(store):
        prompts = [] if run.existing == "replace" else prompts
        prompts += run.prompts
    return prompts


def _distinct(prompts: list[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    return tuple({json.dumps(prompt, sort_keys=True): prompt for prompt in prompts}.values())


def _take(
    store: AnnotationStore, outcome: Outcome, facts: ModelFacts, journal: _Journal, apply: bool
) -> Failure | None:
    if outcome.error:
        return Failure(outcome.item.name, outcome.error)
    with store.transaction():
        image = store.image(outcome.item.image_id)
        if (outcome.height, outcome.width) != image.size:
            size = f"{outcome.height} x {outcome.width}"
            return Failure(outcome.item.name, f"{outcome.item.name} has changed its size to {size}: label it anew.")
        entry = compare(store, image, outcome)
        if apply and is_open(store, entry):
            _apply(store, image, entry, facts)
            entry["applied"] = True
    journal.add(entry)
    return None


def _apply(store: AnnotationStore, image: StoredImage, entry: Mapping[str, Any], facts: ModelFacts) -> None:
    prompts = entry["prompts"]
    store.remove_objects(each["object_id"] for each in entry["removed"])
    for each in entry["changed"]:
        origin = provenance(facts, prompts[each["prompt"]])
        store.update_object(each["object_id"], rle=each["rle"], score=each["score"], provenance=origin)
    store.add_objects(
        image.id,
        [
            NewObject(
                store.ensure_category(each["category"], each["is_thing"]).id,
                rle=each["rle"],
                score=each["score"],
                provenance=provenance(facts, prompts[each["prompt"]]),
            )
            for each in entry["added"]
        ],
    )


class _Journal:
    """The entries so far, a line each, so that a run that is stopped goes on."""

    def __init__(self, path: Path, facts: ModelFacts) -> None:
        self.path = path
        self._head = json.dumps([facts.name, facts.weights, dict(facts.thresholds)])
        self.done = {entry["image_id"] for entry in self.entries()}
        try:
            if not self.done:
                path.write_text(self._head + "\n", encoding="utf-8")
            _cut_after_last_line(path)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written ({error.strerror}): choose a dataset you may change."
            ) from error

    def entries(self) -> Iterator[dict[str, Any]]:
        """Entries of the same model."""
        if not self.path.is_file():
            return
        with self.path.open(encoding="utf-8") as file:
            if file.readline().rstrip("\n") != self._head:
                return
            yield from (json.loads(line) for line in file if line.endswith("\n"))

    def add(self, entry: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(entry, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({error.strerror}): free some space.") from error

    def close(self) -> None:
        self._file.close()


def _cut_after_last_line(path: Path) -> None:
    """Take away a line that was not written to its end, because the run was killed."""
    with path.open("rb+") as file:
        whole = 0
        for line in file:
            whole += len(line) if line.endswith(b"\n") else 0
        file.truncate(whole)


def _summary(dataset: Path, journal: _Journal, failures: tuple[Failure, ...]) -> RelabelReport:
    images = applied = unchanged = 0
    objects = {"added": 0, "removed": 0, "changed": 0}
    overlap = 0.0
    for entry in journal.entries():
        images, applied, unchanged = images + 1, applied + entry["applied"], unchanged + entry["unchanged"]
        for kind in objects:
            objects[kind] += len(entry[kind])
        overlap += entry["unchanged"] + sum(each["iou"] for each in entry["changed"])
    both = unchanged + objects["changed"]
    mean = overlap / both if both else 0.0
    return RelabelReport(
        dataset / DIFF_NAME,
        images,
        objects["added"],
        objects["removed"],
        objects["changed"],
        unchanged,
        mean,
        applied,
        failures,
    )


def _write(report: RelabelReport, journal: _Journal, facts: ModelFacts) -> None:
    head = {
        "format": FORMAT,
        "version": VERSION,
        "model": facts.name,
        "weights": facts.weights,
        "thresholds": dict(facts.thresholds),
        "summary": {
            "images": report.images,
            "added": report.added,
            "removed": report.removed,
            "changed": report.changed,
            "unchanged": report.unchanged,
            "mean_iou": report.mean_iou,
            "applied": report.applied,
        },
    }
    differing = (entry for entry in journal.entries() if entry["added"] or entry["removed"] or entry["changed"])
    with replacing(report.path) as temporary:
        write_lists(temporary, head, [("images", differing)])
