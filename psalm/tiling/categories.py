"""Class lists on images of any size and with any number of objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from psalm.annotations import Category
from psalm.conditions import CategoryCondition, Task
from psalm.cutouts import Cutout, CutoutAnnotations
from psalm.tiling.asking import Question, to_image
from psalm.tiling.merging import Sighting, is_cut, merge, suppress
from psalm.tiling.plan import Tile, TilePlan, grid
from psalm.tiling.source import Box, ImageSource

Progress = Callable[[int, int, str], None]

_WRONG_SIZE = 1.5  # times the diameter that was given
_STUFF_PIXELS = 1 << 28  # a region of stuff in a larger box stays in pieces


@dataclass
class _Search:
    """What was seen so far."""

    source: ImageSource
    condition: CategoryCondition
    question: Question
    plan: TilePlan
    tiles: list[Tile] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    quartered: int = 0

    def look(self, tiles: Sequence[Tile], coarse: bool = False) -> list[Tile]:
        """Ask about tiles; returns the tiles that must be asked in their stead because they hold too much."""
        images = [self.question.read(self.source, tile.window) for tile in tiles]
        answers = self.question.ask(images, [self.condition] * len(tiles))
        more: list[Tile] = []
        for tile, answer in zip(tiles, answers, strict=True):
            number = len(self.tiles)
            self.tiles.append(tile)
            cutouts = [to_image(mask, tile.window) for mask in answer.masks]
            seen = [
                self._sighting(cutout, answer.category_ids[i], answer.scores[i], number)
                for i, cutout in enumerate(cutouts)
                if cutout is not None
            ]
            parts = [] if coarse else self._quarters(tile, seen)
            if coarse:
                seen = [_as_coarse(one) for one in seen if one.cutout.extent > 1.8 * self.halo]
            elif parts:
                # Quarters may overlook what they magnify, so all that the tile answers for stays beside what they see.
                least = 1.8 * _halo(tile, parts[0])
                seen = [_as_coarse(one) for one in seen if one.cutout.extent > least or one.lies_in(tile.core)]
            self.quartered += bool(parts)
            self.sightings += seen
            more += parts
        return more

    @property
    def halo(self) -> int:
        """Of the first grid."""
        return self.plan.halo_of(self.plan.side(self.source.size, self.question.predictor.config) or 0)

    def _sighting(self, cutout: Cutout, category: int, score: float, number: int) -> Sighting:
        window = self.tiles[number].window
        # Masks are made at a quarter of the model's size, so the last pixels before an edge may be missing.
        margin = int(2 * max(self.tiles[number].side / self.question.model_size, 1))
        cut = is_cut(cutout.box, window, self.source.size, margin)
        return Sighting(cutout, int(category), float(score), number, cut)

    def _quarters(self, tile: Tile, seen: Sequence[Sighting]) -> list[Tile]:
        """The quarters of a tile with too many objects; none when it has not, or they would be too small."""
        # Objects that are asked for below the usual score do not mean that the tile is crowded.
        sure = sum(one.score >= self.question.limits.score for one in seen)
        if sure < self.plan.limit(self.question.predictor.config):
            return []
        extent = float(np.median([one.cutout.extent for one in seen]))
        halo = self.plan.halo_of(tile.side // 2, extent)
        quarters = tile.quarters(self.source.size, halo)
        largest = max(quarter.side for quarter in quarters)
        too_small = largest < max(self.plan.smallest, 3 * extent)
        return [] if too_small or largest > 0.9 * tile.side else quarters


def search(
    source: ImageSource,
    condition: CategoryCondition,
    question: Question,
    plan: TilePlan,
    progress: Progress | None = None,
) -> tuple[CutoutAnnotations, int, str, str]:
    """Find what a class list names.

    Returns
    -------
    objects : CutoutAnnotations
        Better scores first.
    tiles : int
        How many times the model looked.
    message : str
        What was done, in words.
    doubt : str
        What speaks against the object size of the plan; empty when nothing does.
    """
    run = _Search(source, condition, question, plan)
    side = plan.side(source.size, question.predictor.config)
    whole: Box = (0, 0, *source.size)
    waiting = [Tile(whole, whole)] if side is None else grid(source.size, side, run.halo)
    first = len(waiting)
    overview = plan.overview if plan.overview is not None else plan.size is None and plan.object_size is None
    if side is not None and overview:
        run.look([Tile(whole, whole)], coarse=True)
    done = 0
    while waiting:
        batch, waiting = waiting[: question.batch_size], waiting[question.batch_size :]
        if progress:
            progress(done, done + len(batch) + len(waiting), f"tile at {batch[0].core[:2]}")
        # Quarters go first, so that few tiles wait at any time.
        waiting = run.look(batch) + waiting
        done += len(batch)
    if progress:
        progress(done, done, "")
    found = _collect(run)
    return found, len(run.tiles), _message(run, side, first), _doubt(plan, found)


def _collect(run: _Search) -> CutoutAnnotations:
    categories = tuple(
        Category(i + 1, name, is_thing)
        for i, (name, is_thing) in enumerate(zip(run.condition.names, run.condition.is_thing, strict=True))
    )
    stuff = {category.id for category in categories if run.question.task == Task.SEMANTIC or not category.is_thing}
    if run.question.task in (None, Task.INSTANCE):
        stuff = set()
    found = merge([one for one in run.sightings if one.category not in stuff], run.tiles)
    limits = run.question.limits
    found = [found[i] for i in suppress(found, limits.nms_iou, limits.inside)]
    for category in sorted(stuff):
        found += _region([one for one in run.sightings if one.category == category and not one.coarse], run.tiles)
    found = sorted((one for one in found if one.cutout.area >= limits.min_area), key=lambda one: -one.score)
    return CutoutAnnotations(
        run.source.size,
        tuple(one.cutout for one in found),
        np.array([one.category for one in found], dtype=np.int64),
        np.array([one.score for one in found], dtype=np.float32),
        categories,
        tuple(run.condition.names[one.category - 1] for one in found),
    )


def _region(pieces: Sequence[Sighting], tiles: Sequence[Tile]) -> list[Sighting]:
    """Stuff: the pieces in the tiles' cores as one region, unless its box is very large."""
    clipped = [(one, one.cutout.clipped(tiles[one.tile].core)) for one in pieces]
    kept = [Sighting(part, one.category, one.score, one.tile) for one, part in clipped if part is not None]
    if len(kept) < 2:
        return kept
    boxes = np.asarray([one.cutout.box for one in kept])
    frame = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
    if (frame[2] - frame[0]) * (frame[3] - frame[1]) > _STUFF_PIXELS:
        return kept
    mask = np.zeros((frame[2] - frame[0], frame[3] - frame[1]), dtype=bool)
    for one in kept:
        r0, c0, r1, c1 = one.cutout.box
        mask[r0 - frame[0] : r1 - frame[0], c0 - frame[1] : c1 - frame[1]] |= one.cutout.mask()
    cutout = Cutout.from_mask(mask, frame[:2])
    return [] if cutout is None else [Sighting(cutout, kept[0].category, max(one.score for one in kept), kept[0].tile)]


def _as_coarse(one: Sighting) -> Sighting:
    return dataclasses.replace(one, coarse=True)


def _halo(tile: Tile, quarter: Tile) -> int:
    """The halo with which a tile was quartered."""
    return max(abs(a - b) for a, b in zip(quarter.window, quarter.core, strict=True))


def _message(run: _Search, side: int | None, first: int) -> str:
    height, width = run.source.size
    size = f"{height} x {width} pixels"
    if side is None:
        text = f"The image of {size} was asked as a whole"
    else:
        chosen = run.plan.size is not None or run.plan.object_size is not None
        reason = "" if chosen else f", because a side is more than {run.plan.factor:g} times what the model sees"
        text = f"The image of {size} was asked in {first} tiles of at most {side} pixels, halo {run.halo}{reason}"
    if run.quartered:
        limit = run.plan.limit(run.question.predictor.config)
        times = "once" if run.quartered == 1 else f"{run.quartered} times"
        text += (
            f"; {times} a part held {limit} objects or more, near what the model can find at once, and was asked again "
            "in quarters"
        )
    return text + "."


def _doubt(plan: TilePlan, found: CutoutAnnotations) -> str:
    """What speaks against the object size that was given; a model may know nothing that is magnified too much."""
    if plan.object_size is None:
        return ""
    if not len(found):
        return f"In tiles for objects {plan.object_size:g} pixels across nothing was found: are they of that size?"
    across = float(np.median([np.sqrt(4 * cutout.area / np.pi) for cutout in found.cutouts]))
    if max(across / plan.object_size, plan.object_size / across) < _WRONG_SIZE:
        return ""
    return f"Typical objects were found to be about {across:.0f} pixels across, not {plan.object_size:g}."
