"""Objects that are given in the first frame of a video, followed by the published rules or the library's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from psalm.conditions import Task, VisualPriorCondition
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.video import distinct_queries, fuse_objects, may_be_remembered, region_scores
from psalm.encoded import EncodedImage
from psalm.modeling.features import Regions
from psalm.video import KnownFrame, propagate

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

Frame = Callable[[int], NDArray[np.uint8]]
Labels = NDArray[np.int64]


def follow_objects(predictor: PSALMPredictor, frame: Frame, count: int, first: Labels) -> Iterator[Labels]:
    """The labels of frames 1, 2, ... of a video.

    A model of the published kind follows by the published rules (`psalm.decoding.video`), any other as
    `psalm.video.propagate` does.

    Parameters
    ----------
    predictor : PSALMPredictor
    frame : callable
        Number, from 0 -> (H, W, 3) image; all frames have one size.
    count : int
        How many frames there are.
    first : (H, W) array of int
        The objects of frame 0 by number; 0 is none.

    Yields
    ------
    (H, W) array of int
    """
    if predictor.config.mask_generator == "mask2former":
        return _by_the_published_rules(predictor, frame, count, first)
    return _by_propagation(predictor, frame, count, first)


def _by_propagation(predictor: PSALMPredictor, frame: Frame, count: int, first: Labels) -> Iterator[Labels]:
    for found in propagate(predictor, _Frames(frame, count), [KnownFrame.from_labels(0, first)]):
        if not found.known:
            yield found.to_labels().astype(np.int64)


class _Frames:
    """Frames by number, as `psalm.video` reads them."""

    def __init__(self, frame: Frame, count: int) -> None:
        self._frame, self._count = frame, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self._frame(index)

    @property
    def names(self) -> Sequence[str]:
        return [f"{number:05d}" for number in range(self._count)]


def _by_the_published_rules(predictor: PSALMPredictor, frame: Frame, count: int, first: Labels) -> Iterator[Labels]:
    numbers = [int(number) for number in np.unique(first) if number]
    given = np.stack([first == number for number in numbers])
    start = EncodedImage.of(predictor, frame(0))
    memory, remembered = given, start
    for at in range(1, count):
        image = EncodedImage.of(predictor, frame(at))
        masks = _ask(predictor, image, remembered, memory)
        yield fuse_objects(masks, numbers)
        if not masks.any(axis=(1, 2)).all():
            # An object without a mask cannot be asked for, so the next frame is asked with the given ones.
            memory, remembered = given, start
        elif may_be_remembered(masks):
            memory, remembered = masks, image


def _ask(
    predictor: PSALMPredictor, image: EncodedImage, reference: EncodedImage, regions: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """One mask (H, W) per region of the reference frame."""
    condition = VisualPriorCondition(regions)
    prompt = predictor.prompts.build(Task.INTERACTIVE, condition)
    placed = Regions(reference.masks(regions), condition.kinds)
    with torch.inference_mode():
        found = predictor.model.propose(image.features, [prompt], [placed], reference=reference.features)[-1]
        masks = QueryMasks(found.mask_logits[0], image.frame)
        queries = distinct_queries(region_scores(masks, found.condition_logits[0, :, : len(regions)].float()))
        return np.stack([masks.mask(query).cpu().numpy() for query in queries])
