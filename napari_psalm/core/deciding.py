"""From kept proposals to objects at any limits: what `psalm.decoding` does, fast enough to follow a slider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.kept import Kept
from napari_psalm.core.kept_masks import LOWEST_PROBABILITY
from napari_psalm.core.kept_objects import KeptObjects
from napari_psalm.core.limits import ClassLimits
from napari_psalm.core.patches import Patch, union
from psalm.conditions import Task


@dataclass(frozen=True)
class Found:
    """An object: its mask, its score, and which part of the question it answers, from 0."""

    patch: Patch
    score: float
    part: int


def decide(kept: Kept | KeptObjects, limits: ClassLimits) -> list[Found]:
    """The objects that meet the limits: better scores first, those of regions in the order of the regions."""
    found = _finished(kept, limits) if isinstance(kept, KeptObjects) else _DECIDERS[kept.task](kept, limits)
    if kept.exclusions.drawn:
        cut = [(one, kept.exclusions.cut(one.patch, one.part)) for one in found]
        found = [replace(one, patch=patch) for one, patch in cut if patch is not None]
    found = [one for one in found if one.patch.area >= max(limits.of(kept.names[one.part]).area, 1)]
    return _at_most(found, kept, limits)


def to_labels(found: Sequence[Found], shape: tuple[int, int]) -> NDArray[np.uint32]:
    """A label image (H, W) in which object i has the value i + 1; where objects overlap the better score wins."""
    labels = np.zeros(shape, dtype=np.uint32)
    for i in np.argsort([one.score for one in found], kind="stable").tolist():
        labels[found[i].patch.slices][found[i].patch.mask] = i + 1
    return labels


def _finished(kept: KeptObjects, limits: ClassLimits) -> list[Found]:
    """Masks that are made already: the score decides, and of things that are counted the overlap."""
    chosen: dict[int, Found] = {}
    for i, (patch, score, part) in enumerate(zip(kept.patches, kept.scores, kept.parts, strict=True)):
        limit = limits.of(kept.names[part])
        if score < limit.score:
            continue
        most = limit.overlap if kept.task is Task.INSTANCE else 1.0
        if most >= 1 or all(iou <= most for j, iou in kept.rivals.get(i, ()) if j in chosen):
            chosen[i] = Found(patch, min(score, 1.0), part)
    found = list(chosen.values())
    return sorted(found, key=lambda one: one.part) if kept.task is Task.INTERACTIVE else found


def _instances(kept: Kept, limits: ClassLimits) -> list[Found]:
    order = np.argsort(-kept.relevance, axis=None, kind="stable")[: kept.top_k or len(kept.masks)]
    bounds = np.stack([kept.bounds(part) for part in range(len(kept.names))], axis=1)
    found = []
    for pair in order.tolist():
        query, part = divmod(pair, len(kept.names))
        limit = limits.of(kept.names[part])
        patch = kept.patch(query, limit.mask) if bounds[query, part] >= limit.score else None
        if patch is None:
            continue
        score = float(kept.relevance[query, part]) * kept.mask_score(query, patch)
        if score >= limit.score and patch.area >= limit.area:
            found.append(Found(patch, min(score, 1.0), part))
    found.sort(key=lambda one: -one.score)
    return _without_parts(_without_overlaps(found, kept, limits), kept)


def _without_overlaps(found: list[Found], kept: Kept, limits: ClassLimits) -> list[Found]:
    chosen: list[Found] = []
    for one in found:
        most = limits.of(kept.names[one.part]).overlap
        if most >= 1 or all(one.patch.iou(better.patch) <= most for better in chosen):
            chosen.append(one)
    return chosen


def _without_parts(found: list[Found], kept: Kept) -> list[Found]:
    """Drop what lies inside a better object of its class."""
    if kept.inside is None:
        return found
    chosen: list[Found] = []
    for one in found:
        most = kept.inside * one.patch.area
        if all(one.patch.shared(better.patch) <= most for better in chosen if better.part == one.part):
            chosen.append(one)
    return chosen


def _segments(kept: Kept, limits: ClassLimits) -> list[Found]:
    """Panoptic: every pixel to at most one segment, and one segment for each class that is no thing."""
    names, scores = kept.relevance.argmax(axis=1), kept.relevance.max(axis=1)
    # What is left of 1 is the background's.
    wanted = [
        query
        for query in range(len(scores))
        if scores[query] > limits.of(kept.names[names[query]]).score and scores[query] > 1 - kept.relevance[query].sum()
    ]
    segments: dict[int, Found] = {}
    for query, won, visible, whole in _shares(kept, wanted, limits, names, scores):
        part = int(names[query])
        hidden = 1 - won / whole.area
        if not visible.area or hidden > limits.of(kept.names[part]).overlap:
            continue
        key = query if kept.is_thing[part] else -1 - part
        earlier = segments.get(key)
        patch = visible if earlier is None else union([earlier.patch, visible])
        segments[key] = Found(patch, max(float(scores[query]), earlier.score if earlier else 0.0), part)
    return sorted(segments.values(), key=lambda one: -one.score)


def _shares(
    kept: Kept, queries: list[int], limits: ClassLimits, names: NDArray[np.int64], scores: NDArray[np.float32]
) -> list[tuple[int, float, Patch, Patch]]:
    """Per query: the pixels that its weighted probability wins, its mask among them, and all of its mask.

    As in the published decoding, pixels count that a mask wins with a probability too low to hold them.
    """
    best = np.zeros(kept.masks.shape, dtype=np.float32)
    winner = np.full(kept.masks.shape, -1, dtype=np.int32)
    wholes = {}
    for query in queries:
        crop, patch = kept.masks.crop(query), kept.patch(query, limits.of(kept.names[names[query]]).mask)
        if crop is None or patch is None:
            continue
        wholes[query] = patch
        weighted = crop.probabilities() * scores[query]
        wins = weighted > best[patch.slices]
        best[patch.slices][wins] = weighted[wins]
        winner[patch.slices][wins] = query
    faint = dict(zip(queries, kept.masks.faint_wins(queries, scores).tolist(), strict=True)) if queries else {}
    shares = []
    for query, patch in wholes.items():
        mine = winner[patch.slices] == query
        crop = kept.masks.crop(query)
        strong = mine if crop is None else mine & crop.at_least(LOWEST_PROBABILITY)
        visible = replace(patch, mask=patch.mask & mine)
        shares.append((query, float(np.count_nonzero(strong)) + faint[query], visible, patch))
    return shares


def _areas(kept: Kept, limits: ClassLimits) -> list[Found]:
    """Semantic: one area for each name that wins pixels."""
    if kept.areas is None:
        return []
    found = []
    for part, name in enumerate(kept.names):
        mask = (kept.areas.winner == part) & (kept.areas.evidence >= limits.of(name).score)
        if mask.any():
            score = float(kept.areas.evidence[mask].mean())
            found.append(Found(Patch.from_mask(mask), min(max(score, 0.0), 1.0), part))
    return sorted(found, key=lambda one: -one.score)


def _best_of_each(kept: Kept, limits: ClassLimits) -> list[Found]:
    """Referring and interactive: the best mask of each part, however low its score unless a limit is set."""
    found = []
    for part, name in enumerate(kept.names):
        limit = limits.of(name)
        query, score = kept.best(part, limit.mask)
        patch = kept.patch(query, limit.mask) if query >= 0 else None
        if patch is not None and score >= limit.score:
            found.append(Found(patch, min(score, 1.0), part))
    return found


def _all_that_fit(kept: Kept, limits: ClassLimits) -> list[Found]:
    """Generalised referring: the masks above the score as one object, or the best when there is none."""
    limit, bounds = limits.overall, kept.bounds(0)
    chosen = []
    for query in np.flatnonzero(bounds > limit.score).tolist():
        patch = kept.patch(query, limit.mask)
        score = 0.0 if patch is None else float(kept.relevance[query, 0]) * kept.mask_score(query, patch)
        if patch is not None and score > limit.score:
            chosen.append((patch, score))
    if not chosen:
        return _best_of_each(kept, limits.with_limits(replace(limit, score=0.0)))
    return [Found(union([patch for patch, _ in chosen]), min(max(score for _, score in chosen), 1.0), 0)]


def _at_most(found: list[Found], kept: Kept | KeptObjects, limits: ClassLimits) -> list[Found]:
    """The best objects, as many as may be: of each class, and of all."""
    counts: dict[str, int] = {}
    chosen = set()
    for i in sorted(range(len(found)), key=lambda i: -found[i].score):
        name = kept.names[found[i].part]
        own = limits.by_class.get(name)
        counts[name] = counts.get(name, 0) + 1
        if own is None or own.most is None or counts[name] <= own.most:
            chosen.add(i)
            if limits.overall.most is not None and len(chosen) >= limits.overall.most:
                break
    return [one for i, one in enumerate(found) if i in chosen]


_DECIDERS: dict[Task, Callable[[Kept, ClassLimits], list[Found]]] = {
    Task.INSTANCE: _instances,
    Task.PANOPTIC: _segments,
    Task.SEMANTIC: _areas,
    Task.REFERRING: _best_of_each,
    Task.GENERALISED_REFERRING: _all_that_fit,
    Task.INTERACTIVE: _best_of_each,
}
