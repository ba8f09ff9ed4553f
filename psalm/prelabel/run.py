"""Label a folder of images: resumable, and no image can stop the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psalm.conditions import Condition
from psalm.formats.coco_export import export_coco
from psalm.prelabel.batch_size import choose_batch_size
from psalm.prelabel.dataset import COCO_NAME, Existing, Run, begin, open_dataset, read_runs, write_runs
from psalm.prelabel.exemplar_files import ExemplarFile
from psalm.prelabel.folder import WaitingImages
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.output import draw_stored
from psalm.prelabel.pipeline import HereEngine
from psalm.prelabel.questions import folder_prompts
from psalm.prelabel.records import Engine, Failure, PrelabelReport
from psalm.prelabel.report import REPORT_NAME, write_page
from psalm.prelabel.scanning import find_images
from psalm.prelabel.tiles import name_tiles
from psalm.prelabel.writing import OutcomeWriter, Written
from psalm.store import AnnotationStore, ImageState

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor
    from psalm.tiling import TilePlan

Progress = Callable[[int, int, str], None]


def prelabel(
    folder: Path | str,
    out: Path | str,
    conditions: Sequence[Condition],
    predictor: PSALMPredictor,
    *,
    exemplars: Sequence[ExemplarFile] = (),
    score_threshold: float | None = None,
    existing: Existing | None = None,
    overlays: bool = False,
    batch_size: int | None = None,
    tiles: TilePlan | None = None,
    progress: Progress | None = None,
) -> PrelabelReport:
    """Label every image below a folder, in this process.

    The answers go into the store of the dataset folder `out`, image by image; at the end ``coco.json`` and
    ``report.html`` are written beside it. A second call with the same question goes on where the first one stopped,
    however it stopped. What a person made, changed or took up is never touched.

    Parameters
    ----------
    folder : path
        Searched with all its subfolders; every page of a file with several is an image.
    out : path
        The dataset folder.
    conditions : sequence of CategoryCondition or SentenceCondition
        What is asked of every image; an image is encoded once for all of them.
    predictor : PSALMPredictor
    exemplars : sequence of ExemplarFile
        Marked objects, whose like is looked for as well.
    score_threshold : float, optional
        Objects with a lower score are left out; the model's own threshold when not given.
    existing : {"add", "replace", "leave"}, optional
        What happens to images that were labelled before and that no person has taken up: objects that are not there
        yet are added, the model's untouched objects are replaced, or the image is left as it is. When not given, they
        are left, and another question than that of the last run is refused.
    overlays : bool
        Also write a picture per image below ``overlays/``.
    batch_size : int, optional
        Images per pass of the model; chosen for the device when not given.
    tiles : TilePlan, optional
        How images are cut that are too large for the model or hold more objects than it finds at once; every image is
        asked as a whole when not given.
    progress : callable, optional
        Called as ``progress(done, total, file_name)`` after each image and once at the end; the total grows with the
        pages that are found.

    Raises
    ------
    ConditionError
        When nothing is asked, or a condition is made of regions of one image.
    ImageError
        When the folder holds no image.
    StoreError
        When `out` belongs to the images of another folder.
    OutputError
        When `out` answers another question and `existing` is not given, or cannot be written.
    """
    prompts = folder_prompts(conditions, exemplars, folder)
    find_images(folder, skip=out)
    labeller = Labeller(predictor, folder, score_threshold, tiles)
    engine = HereEngine(labeller, batch_size or choose_batch_size(predictor, list(conditions)))
    return label_folder(
        folder,
        out,
        prompts,
        engine,
        score_threshold=score_threshold,
        existing=existing,
        overlays=overlays,
        tiles=tiles,
        progress=progress,
    )


def label_folder(
    folder: Path | str,
    out: Path | str,
    prompts: tuple[Mapping[str, Any], ...],
    engine: Engine,
    *,
    score_threshold: float | None = None,
    existing: Existing | None = None,
    overlays: bool = False,
    tiles: TilePlan | None = None,
    progress: Progress | None = None,
) -> PrelabelReport:
    """As `prelabel`, with an engine that may be several processes or a cluster.

    Parameters
    ----------
    folder, out, score_threshold, existing, overlays, progress
        As in `prelabel`.
    tiles : TilePlan, optional
        With which the engine cuts images; recorded with the run.
    prompts : tuple of mapping
        From `psalm.prelabel.questions.folder_prompts`.
    engine : HereEngine, ProcessEngine or ClusterEngine
        Started and ended here.
    """
    folder, out = Path(folder), Path(out)
    files = find_images(folder, skip=out)
    with engine, closing(open_dataset(out, folder)) as store:
        facts = engine.facts
        asked = Run(
            prompts, facts.name, facts.weights, score_threshold, description=engine.description, tiles=name_tiles(tiles)
        )
        sitting = _Sitting(store, begin(store, asked, existing))
        waiting = WaitingImages(store, folder, files, prompts)
        seen = count(1)
        writer = OutcomeWriter(store, facts, sitting.run.existing == "replace", sitting.note)
        try:
            with closing(engine.outcomes(waiting)) as outcomes:
                for outcome in outcomes:
                    writer.add(outcome)
                    if progress:
                        progress(next(seen), waiting.total, outcome.item.name)
                    if overlays and not outcome.error:
                        writer.flush()
                        draw_stored(store, store.image(outcome.item.image_id), out / "overlays")
        finally:
            # Also when interrupted: what was labelled is not lost.
            writer.flush()
        sitting.finish()
        export_coco(store, out / COCO_NAME, overwrite=True)
        page = write_page(store, out / REPORT_NAME)
        if progress:
            progress(waiting.total, waiting.total, "")
        failures = (*stored_failures(store), *waiting.refused)
        return sitting.report(out, page, waiting.kept, failures)


def stored_failures(store: AnnotationStore) -> list[Failure]:
    """The images of a dataset that could not be labelled."""
    return [
        Failure(f"{image.path} (page {image.page})" if image.page else image.path, image.error)
        for image in store.images(ImageState.FAILED)
    ]


class _Sitting:
    """Counts what is done from the start of the program to its end, on top of what the run had done before."""

    def __init__(self, store: AnnotationStore, run: Run) -> None:
        self.run = run
        self._before, self._store = run, store
        self._start = time.perf_counter()
        self._left = 0
        self._doubts: list[Failure] = []

    def note(self, written: Sequence[Written]) -> None:
        """Count outcomes that go into the store."""
        labelled = [each for each in written if each.state == "labelled"]
        self._left += sum(each.state == "left" for each in written)
        self._doubts += [Failure(each.outcome.item.name, each.outcome.doubt) for each in labelled if each.outcome.doubt]
        self.run = replace(
            self.run,
            images=self.run.images + len(labelled),
            objects=self.run.objects + sum(each.objects for each in labelled),
            failed=self.run.failed + sum(each.state == "failed" for each in written),
            tiled=self.run.tiled + sum(bool(each.outcome.tiles) for each in labelled),
            seconds=self._before.seconds + self._elapsed(),
            model_seconds=self.run.model_seconds + sum(each.outcome.seconds for each in written),
        )
        self._remember()

    def finish(self) -> None:
        """Remember that nothing is left to do."""
        self.run = replace(self.run, is_finished=True, seconds=self._before.seconds + self._elapsed())
        self._remember()

    def report(self, out: Path, page: Path, kept: int, failures: tuple[Failure, ...]) -> PrelabelReport:
        """What this sitting did."""
        return PrelabelReport(
            out,
            out / COCO_NAME,
            page,
            self.run.images - self._before.images,
            self.run.objects - self._before.objects,
            kept + self._left,
            failures,
            self._elapsed(),
            self.run.tiled - self._before.tiled,
            tuple(self._doubts),
        )

    def _elapsed(self) -> float:
        return time.perf_counter() - self._start

    def _remember(self) -> None:
        write_runs(self._store, [*read_runs(self._store)[:-1], self.run])
