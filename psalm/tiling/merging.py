"""What several tiles saw becomes one set of objects, each counted once and whole.

An object that lies whole in a tile is taken as that tile saw it, when its middle lies in the tile's core or another
tile saw it too. What is cut by the edge of a tile is dropped where a whole object covers it, and joined to its other
parts where the object is larger than any tile.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psalm.cutouts import Cutout, intersection
from psalm.tiling.plan import Tile
from psalm.tiling.source import Box

SAME_IOU = 0.5
_COVERED = 0.5
_CLUMP = 0.3  # share of a coarse object that finer ones of its category may cover


@dataclass(frozen=True)
class Sighting:
    """An object as one tile saw it, in pixels of the image.

    Parameters
    ----------
    cutout : Cutout
    category : int
        Its category id.
    score : float
    tile : int
        The number of the tile.
    cut : bool
        Whether the object reaches an edge of the window beyond which the image goes on.
    coarse : bool
        Seen in passing at low resolution, because finer tiles may be too small for it.
    """

    cutout: Cutout
    category: int
    score: float
    tile: int
    cut: bool = False
    coarse: bool = False

    def lies_in(self, box: Box) -> bool:
        """Whether the middle of the object lies in a box."""
        row, column = self.cutout.centre
        return box[0] <= row < box[2] and box[1] <= column < box[3]


def is_cut(box: Box, window: Box, size: tuple[int, int], margin: int) -> bool:
    """Whether a box reaches, within `margin` pixels, an edge of the window that is no edge of the image."""
    return (
        (window[0] > 0 and box[0] <= window[0] + margin)
        or (window[1] > 0 and box[1] <= window[1] + margin)
        or (window[2] < size[0] and box[2] >= window[2] - margin)
        or (window[3] < size[1] and box[3] >= window[3] - margin)
    )


def merge(sightings: Sequence[Sighting], tiles: Sequence[Tile]) -> list[Sighting]:
    """Count every object once.

    Parameters
    ----------
    sightings : sequence of Sighting
    tiles : sequence of Tile
        By their number.

    Returns
    -------
    list of Sighting
        Better scores first.
    """
    sightings = _without_clumps(sightings)
    pairs = _pairs_of_same_category(sightings)
    absorbed = _absorbed(sightings, pairs)
    whole = [
        _refined(sightings[i], [sightings[k] for k in absorbed[i]], tiles)
        for i in _whole_objects(sightings, pairs, tiles)
    ]
    parts = {part for covered in absorbed.values() for part in covered}
    joined = _joined_parts(sightings, pairs, tiles, parts)
    return sorted([*whole, *joined], key=lambda one: -one.score)


def suppress(found: Sequence[Sighting], nms_iou: float | None, inside: float | None) -> list[int]:
    """Positions, in a list with better scores first, of what repeats no better kept one; limits as in `Thresholds`."""
    rivals: dict[int, list[int]] = defaultdict(list)
    for i, j in touching_pairs([one.cutout.box for one in found]):
        rivals[max(i, j)].append(min(i, j))
    dropped: set[int] = set()
    for i, one in enumerate(found):
        for j in rivals.get(i, ()):
            if j in dropped:
                continue
            shared = one.cutout.overlap(found[j].cutout)
            union = one.cutout.area + found[j].cutout.area - shared
            part = shared > (inside or 2) * one.cutout.area and one.category == found[j].category
            if part or shared > (nms_iou or 2) * union:
                dropped.add(i)
                break
    return [i for i in range(len(found)) if i not in dropped]


def touching_pairs(boxes: Sequence[Box]) -> Iterable[tuple[int, int]]:
    """Pairs (i, j), i != j and each once, of boxes that overlap."""
    if len(boxes) < 2:
        return
    array = np.asarray(boxes, dtype=np.int64)
    order = np.argsort(array[:, 0], kind="stable")
    sorted_boxes = array[order]
    stops = np.searchsorted(sorted_boxes[:, 0], sorted_boxes[:, 2], side="left")
    for i, stop in enumerate(stops.tolist()):
        later = sorted_boxes[i + 1 : stop]
        near = (later[:, 1] < sorted_boxes[i, 3]) & (later[:, 3] > sorted_boxes[i, 1])
        for j in np.flatnonzero(near).tolist():
            yield int(order[i]), int(order[i + 1 + j])


def _without_clumps(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Leave out coarse objects that finer tiles saw as several whole ones."""
    coarse = [i for i, one in enumerate(sightings) if one.coarse]
    if not coarse:
        return list(sightings)
    covered: dict[int, list[int]] = defaultdict(list)
    for i, j in touching_pairs([one.cutout.box for one in sightings]):
        for big, small in ((i, j), (j, i)):
            a, b = sightings[big].cutout, sightings[small].cutout
            finer = sightings[big].coarse and not sightings[small].coarse and not sightings[small].cut
            if finer and sightings[big].category == sightings[small].category and b.area < a.area:
                shared = b.overlap(a)
                if 2 * shared > b.area and shared < SAME_IOU * (a.area + b.area - shared):
                    covered[big].append(shared)
    clumps = {i for i in coarse if len(covered[i]) > 1 and sum(covered[i]) > _CLUMP * sightings[i].cutout.area}
    return [one for i, one in enumerate(sightings) if i not in clumps]


@dataclass(frozen=True)
class _Pair:
    """Two sightings of different tiles, and the pixels that they share."""

    first: int
    second: int
    shared: int


def _pairs_of_same_category(sightings: Sequence[Sighting]) -> list[_Pair]:
    pairs = []
    for i, j in touching_pairs([one.cutout.box for one in sightings]):
        a, b = sightings[i], sightings[j]
        if a.tile != b.tile and a.category == b.category:
            shared = a.cutout.overlap(b.cutout)
            if shared:
                pairs.append(_Pair(i, j, shared))
    return pairs


class _Groups:
    """Sightings that are one object; a tile may be in a group once."""

    def __init__(self, tiles: Sequence[int]) -> None:
        self._leader = list(range(len(tiles)))
        self._tiles = [{tile} for tile in tiles]

    def find(self, i: int) -> int:
        while self._leader[i] != i:
            self._leader[i] = self._leader[self._leader[i]]
            i = self._leader[i]
        return i

    def join(self, i: int, j: int, once_per_tile: bool) -> None:
        i, j = self.find(i), self.find(j)
        if i == j or (once_per_tile and self._tiles[i] & self._tiles[j]):
            return
        self._leader[j] = i
        self._tiles[i] |= self._tiles[j]

    def members(self, of: Iterable[int]) -> list[list[int]]:
        groups: dict[int, list[int]] = defaultdict(list)
        for i in of:
            groups[self.find(i)].append(i)
        return list(groups.values())


def _whole_objects(sightings: Sequence[Sighting], pairs: Sequence[_Pair], tiles: Sequence[Tile]) -> list[int]:
    """One sighting per object that was seen whole: the one farthest from the edges of its window."""
    alike = []
    for pair in pairs:
        a, b = sightings[pair.first], sightings[pair.second]
        iou = pair.shared / (a.cutout.area + b.cutout.area - pair.shared)
        if not a.cut and not b.cut and iou >= SAME_IOU:
            alike.append((iou, pair))
    groups = _Groups([one.tile for one in sightings])
    for _, pair in sorted(alike, key=lambda entry: -entry[0]):
        groups.join(pair.first, pair.second, once_per_tile=True)
    result = []
    for group in groups.members(i for i, one in enumerate(sightings) if not one.cut):
        first = sightings[group[0]]
        if len(group) == 1 and not first.coarse and not first.lies_in(tiles[first.tile].core):
            continue
        result.append(max(group, key=lambda i: _preference(sightings[i], tiles)))
    return result


def _preference(one: Sighting, tiles: Sequence[Tile]) -> tuple[bool, float]:
    """Finer tiles first, then the tile in which the object lies most central."""
    row, column = one.cutout.centre
    r0, c0, r1, c1 = tiles[one.tile].core
    return not one.coarse, min(row - r0, r1 - 1 - row, column - c0, c1 - 1 - column)


def _absorbed(sightings: Sequence[Sighting], pairs: Sequence[_Pair]) -> dict[int, list[int]]:
    """The cut objects that each whole one covers."""
    absorbed: dict[int, list[int]] = defaultdict(list)
    for pair in pairs:
        for part, other in ((pair.first, pair.second), (pair.second, pair.first)):
            covered = pair.shared > _COVERED * sightings[part].cutout.area
            if sightings[part].cut and not sightings[other].cut and covered:
                absorbed[other].append(part)
    return absorbed


def _refined(coarse: Sighting, parts: Sequence[Sighting], tiles: Sequence[Tile]) -> Sighting:
    """A coarse object with the outline that finer tiles saw in their cores, where they saw about the same."""
    if not coarse.coarse:
        return coarse
    by_tile: dict[int, list[Sighting]] = defaultdict(list)
    for part in parts:
        by_tile[part.tile].append(part)
    boxes = np.asarray([one.cutout.box for one in (coarse, *parts)])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    frame: Box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    mask = coarse.cutout.within(frame)
    for tile, members in by_tile.items():
        core = intersection(tiles[tile].core, frame)
        if core is None:
            continue
        fine = np.logical_or.reduce([one.cutout.within(core) for one in members])
        there = mask[core[0] - frame[0] : core[2] - frame[0], core[1] - frame[1] : core[3] - frame[1]]
        if np.count_nonzero(fine & there) >= SAME_IOU * np.count_nonzero(fine | there):
            there[:] = fine
    cutout = Cutout.from_mask(mask, frame[:2])
    return coarse if cutout is None else dataclasses.replace(coarse, cutout=cutout)


def _joined_parts(
    sightings: Sequence[Sighting], pairs: Sequence[_Pair], tiles: Sequence[Tile], absorbed: set[int]
) -> list[Sighting]:
    """Objects larger than the tiles, from parts that agree where their tiles overlap.

    A part that others should have seen too, and did not, is no object.
    """
    parts = {i for i, one in enumerate(sightings) if one.cut and i not in absorbed}
    windows = np.asarray([tile.window for tile in tiles])
    groups = _Groups([one.tile for one in sightings])
    for pair in pairs:
        if pair.first in parts and pair.second in parts and _agree(sightings, pair, tiles):
            groups.join(pair.first, pair.second, once_per_tile=False)
    result = []
    for group in groups.members(sorted(parts)):
        members = [sightings[i] for i in group]
        if not any(intersection(one.cutout.box, tiles[one.tile].core) for one in members):
            continue
        if len({one.tile for one in members}) > 1 or _lookers(members[0].cutout.box, windows) == 1:
            joined = _join(members, tiles)
            if joined is not None:
                result.append(joined)
    return result


def _lookers(box: Box, windows: NDArray[np.int64]) -> int:
    """How many windows (N, 4) share pixels with a box."""
    low, high = np.maximum(windows[:, :2], box[:2]), np.minimum(windows[:, 2:], box[2:])
    return int(np.count_nonzero((low < high).all(axis=1)))


def _agree(sightings: Sequence[Sighting], pair: _Pair, tiles: Sequence[Tile]) -> bool:
    """Whether two parts look the same where both tiles looked, or one lies mostly inside the other."""
    a, b = sightings[pair.first], sightings[pair.second]
    if pair.shared > _COVERED * min(a.cutout.area, b.cutout.area):
        return True
    window = intersection(tiles[a.tile].window, tiles[b.tile].window)
    if window is None:
        return False
    union = sum(int(np.count_nonzero(one.cutout.within(window))) for one in (a, b)) - pair.shared
    return pair.shared >= SAME_IOU * union


def _join(members: Sequence[Sighting], tiles: Sequence[Tile]) -> Sighting | None:
    """One object from its parts; in the core of a tile, that tile's part counts alone."""
    boxes = np.asarray([one.cutout.box for one in members])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    frame: Box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    mask: NDArray[np.bool_] = np.zeros((frame[2] - frame[0], frame[3] - frame[1]), dtype=bool)
    settled = np.zeros_like(mask)
    for tile in {one.tile for one in members}:
        core = intersection(tiles[tile].core, frame)
        if core is not None:
            settled[core[0] - frame[0] : core[2] - frame[0], core[1] - frame[1] : core[3] - frame[1]] = True
    for one in members:
        own = one.cutout.within(frame)
        core = intersection(tiles[one.tile].core, frame)
        mask |= own & ~settled
        if core is not None:
            part = np.s_[core[0] - frame[0] : core[2] - frame[0], core[1] - frame[1] : core[3] - frame[1]]
            mask[part] |= own[part]
    cutout = Cutout.from_mask(mask, frame[:2])
    if cutout is None:
        return None
    weights = [one.cutout.area for one in members]
    score = float(np.average([one.score for one in members], weights=weights))
    return Sighting(cutout, members[0].category, score, members[0].tile)
