"""An image file becomes objects: what a worker does, wherever it runs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psalm.annotations import Annotations
from psalm.coco.rle import MAX_PIXELS, encode_mask
from psalm.errors import ConditionError, ImageError, ModelError, PSALMError
from psalm.images import ImageFile, open_file
from psalm.prelabel.asking import Asker
from psalm.prelabel.records import Found, Item, ModelFacts, Outcome
from psalm.prelabel.tiles import TiledAsker
from psalm.store import content_hash
from psalm.tiling import ImageSource

if TYPE_CHECKING:
    from psalm.batch_prediction import PreparedImage
    from psalm.predictor import PSALMPredictor
    from psalm.tiling import TilePlan

_NO_MEMORY = "needs more memory than the model's device has: use another device, or a smaller image or model."
# When so many images fail one after the other, it is the device or the model.
_BROKEN = 5
# Larger images are read in windows where their format allows it. All models see less of an image at once.
PIXELS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Ready:
    """An item with its image as the model takes it, or with the reason why there is none.

    Of an image that is read in windows there is neither: only its size (height, width) is known.
    """

    item: Item
    size: tuple[int, int] = (0, 0)
    image: PreparedImage | None = None
    content_hash: str = ""
    error: str = ""


class Labeller:
    """Reads images and asks a model about them.

    `read` may be called from several threads, `label` from one at a time.

    Parameters
    ----------
    predictor : PSALMPredictor
    image_root : path
        Paths of items are relative to it.
    score_threshold : float, optional
    tiles : TilePlan, optional
        How images are cut that are too large or hold too many objects; every image is asked as a whole when not given.
    """

    def __init__(
        self,
        predictor: PSALMPredictor,
        image_root: Path | str,
        score_threshold: float | None = None,
        tiles: TilePlan | None = None,
    ) -> None:
        self.predictor = predictor
        self._root = Path(image_root)
        self._score_threshold = score_threshold
        self._asker = Asker(predictor, self._root, score_threshold)
        self._tiled = TiledAsker(predictor, self._root, tiles)
        self._files = _OpenFiles()
        self._failed_in_a_row = 0

    @property
    def facts(self) -> ModelFacts:
        """What is recorded of the model."""
        thresholds = asdict(self.predictor.thresholds)
        if self._score_threshold is not None:
            thresholds["score"] = self._score_threshold
        return ModelFacts(self.predictor.config.name, self.predictor.weights_hash, thresholds)

    def close(self) -> None:
        """Let go of this thread's file."""
        self._files.close()

    def read(self, item: Item) -> Ready:
        """Read the image of an item and make it ready for the model; whatever is wrong with the file is its reason."""
        path = self._root / item.path
        try:
            file, digest = self._files.get(path), self._files.digest(path)
            levels = file.levels(item.page)
            if levels and math.prod(levels[0].shape[:2]) > PIXELS_AT_ONCE:
                return Ready(item, _checked(path, levels[0].shape[:2]), content_hash=digest)
            image = self.predictor.prepare(file.read(item.page))
            return Ready(item, image.frame.original, image, digest)
        except MemoryError:
            return Ready(item, error=f"{item.name} needs more memory to be read than there is: make it smaller.")
        except (PSALMError, OSError) as error:
            return Ready(item, error=_shorter(str(error), self._root))
        except Exception as error:  # noqa: BLE001 - a damaged file can make a decoder fail in any way
            reason = f"{type(error).__name__}: {error}"
            return Ready(item, error=f"{item.name} cannot be read ({reason}): copy it again or convert it to PNG.")

    def label(self, batch: Sequence[Ready]) -> list[Outcome]:
        """Ask the model about images that were read, all with the same prompts, in one pass.

        Raises
        ------
        ConditionError
            When the model cannot be asked this of any image.
        ModelError
            When the model failed on several images in a row.
        """
        good = [ready for ready in batch if not ready.error]
        done = {id(ready): outcome for ready, outcome in zip(good, self._ask(good), strict=True)} if good else {}
        return [done[id(ready)] if id(ready) in done else Outcome(ready.item, error=ready.error) for ready in batch]

    def _ask(self, batch: Sequence[Ready]) -> list[Outcome]:
        try:
            outcomes = self._pass(batch)
            self._failed_in_a_row = 0
            return outcomes
        except Exception as error:  # noqa: BLE001 - sorted out below
            if len(batch) == 1:
                return [self._explain(batch[0].item, error)]
        # Outside the handler, for the exception holds the memory of the pass.
        _free_memory()
        middle = len(batch) // 2
        return self._ask(batch[:middle]) + self._ask(batch[middle:])

    def _explain(self, item: Item, error: Exception) -> Outcome:
        """The outcome of an image on which the model failed, unless the fault is not the image's."""
        import torch

        if isinstance(error, ConditionError):
            if any(prompt["kind"] == "regions" for prompt in item.prompts):
                return Outcome(item, error=f"{item.name} cannot be asked: {error}")
            raise error
        if isinstance(error, ImageError):  # a window could not be read
            return Outcome(item, error=_shorter(str(error), self._root))
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= _BROKEN:
            raise ModelError(
                f"The model failed on {_BROKEN} images one after the other, last on {item.name} "
                f"({type(error).__name__}: {error}): check the device and the weights (psalm info), then run the same "
                "command again; what was labelled is kept."
            ) from error
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return Outcome(item, error=f"{item.name} {_NO_MEMORY}")
        return Outcome(item, error=f"The model failed on {item.name} ({type(error).__name__}: {error}).")

    def _pass(self, batch: Sequence[Ready]) -> list[Outcome]:
        start = time.perf_counter()
        prompts = batch[0].item.prompts
        # An image that is cut anyway is not asked as a whole before.
        whole = [ready.image for ready in batch if ready.image and not self._tiled.cuts(ready.size, prompts)]
        answers = dict(zip(map(id, whole), self._asker.ask(whole, prompts), strict=True)) if whole else {}
        outcomes = []
        for ready in batch:
            height, width = ready.size
            answer, tiles, doubt = answers.get(id(ready.image)), "", ""
            if answer is None or self._tiled.runs_out(answer, prompts):
                objects, tiles, doubt = self._in_tiles(ready.item, len(batch))
            else:
                objects = _objects(answer)
            seconds = (time.perf_counter() - start) / len(batch)
            outcomes.append(Outcome(ready.item, height, width, ready.content_hash, objects, "", seconds, tiles, doubt))
        return outcomes

    def _in_tiles(self, item: Item, batch_size: int) -> tuple[tuple[Found, ...], str, str]:
        """The image is read again: to keep the pixels of every image at hand would take too much memory."""
        file = self._files.get(self._root / item.path)
        source = ImageSource(file.levels(item.page) or [file.read(item.page)])
        return self._tiled.ask(source, item.prompts, self._asker.least_score(item.prompts), batch_size)


class _OpenFiles(threading.local):
    """The last file of each thread stays open, for its next page is likely to be asked for."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: ImageFile | None = None
        self._digest = ""

    def get(self, path: Path) -> ImageFile:
        if self._file is None or path != self._path:
            self.close()
            self._file, self._path, self._digest = open_file(path), path, ""
        return self._file

    def digest(self, path: Path) -> str:
        """Of the file that `get` opened."""
        self._digest = self._digest or content_hash(path)
        return self._digest

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._path = self._file = None


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _objects(answers: Sequence[Annotations]) -> tuple[Found, ...]:
    found = []
    for prompt, answer in enumerate(answers):
        categories = {category.id: category for category in answer.categories}
        for mask, category_id, score in zip(answer.masks, answer.category_ids, answer.scores, strict=True):
            category = categories[int(category_id)]
            if mask.any():
                found.append(Found(category.name, category.is_thing, encode_mask(mask), float(score), prompt))
    return tuple(found)


def _checked(path: Path, size: tuple[int, int]) -> tuple[int, int]:
    if math.prod(size) > MAX_PIXELS:
        raise ImageError(
            f"{path} has {size[0]} x {size[1]} pixels, more than the {MAX_PIXELS} that a mask can have: "
            "save one of its coarser levels as an image."
        )
    return size


def _shorter(reason: str, root: Path) -> str:
    """A reason that names the file as the store does."""
    return reason.replace(f"{root}/", "")
