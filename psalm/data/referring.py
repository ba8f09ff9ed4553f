"""Sentences made by rule from objects: every sentence is right for its targets and for no other object.

A sentence is only made where the rule holds by a clear margin, so that a person would not hesitate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psalm.data.words import plural

_SIDES = {
    # side: (axis, sign, the words for two objects, the words for many)
    "left": (1, 1, ("the {x} on the left", "left {x}", "the left {x}", "the {x} on the left side"),
             ("the leftmost {x}", "the {x} on the far left", "the {x} furthest to the left", "leftmost {x}")),
    "right": (1, -1, ("the {x} on the right", "right {x}", "the right {x}", "the {x} on the right side"),
              ("the rightmost {x}", "the {x} on the far right", "the {x} furthest to the right", "rightmost {x}")),
    "top": (0, 1, ("the {x} at the top", "top {x}", "the upper {x}"),
            ("the topmost {x}", "the {x} at the very top", "the highest {x}", "the uppermost {x}")),
    "bottom": (0, -1, ("the {x} at the bottom", "bottom {x}", "the lower {x}"),
               ("the bottommost {x}", "the {x} at the very bottom", "the lowest {x}")),
}  # fmt: skip
_ONLY = ("the {x}", "the {x}", "{x}", "the only {x}")
_ALL = ("all {xs}", "every {x}", "all the {xs}", "the {xs}", "each {x}")
_BIGGEST = ("the biggest {x}", "the largest {x}", "biggest {x}")
_SMALLEST = ("the smallest {x}", "the tiniest {x}", "smallest {x}")
_CORNER = ("the {x} at the {v} {h}", "the {x} in the {v} {h} corner", "the {v} {h} {x}", "{v} {h} {x}")
_MIDDLE = ("the {x} in the middle", "the middle {x}", "the {x} in the centre", "the central {x}")
_ORDINAL = ("the {n} {x} from the {side}", "{n} {x} from the {side}")
_NEXT = ("the {x} next to the {y}", "the {x} beside the {y}", "the {x} closest to the {y}", "the {x} near the {y}")
_BESIDE = {
    (1, 1): ("the {x} to the left of the {y}", "the {x} left of the {y}"),
    (1, -1): ("the {x} to the right of the {y}", "the {x} right of the {y}"),
    (0, 1): ("the {x} above the {y}", "the {x} over the {y}"),
    (0, -1): ("the {x} below the {y}", "the {x} under the {y}"),
}
_ORDER = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Thing:
    """One object.

    Parameters
    ----------
    name : str
        Its category.
    box : (row0, column0, row1, column1)
        Pixels; the upper ends are exclusive.
    area : float
        Pixels of its mask.
    colour : str, optional
        A word of `psalm.data.words.COLOURS`; None where unknown or unclear.
    """

    name: str
    box: tuple[float, float, float, float]
    area: float
    colour: str | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """(row, column) of the middle of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True)
class Expression:
    """A sentence pattern with its answer.

    Parameters
    ----------
    kind : str
        The rule that made it: only, all, left, right, top, bottom, biggest, smallest, corner, middle, ordinal, next or
        beside.
    targets : tuple of int
        Positions of the objects that are meant.
    wordings : tuple of str
        Sentences that say the same.
    """

    kind: str
    targets: tuple[int, ...]
    wordings: tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    """Objects that one noun phrase names, all of them."""

    noun: str
    nouns: str
    members: NDArray[np.int64]

    def expression(self, kind: str, targets: Iterable[int], patterns: Sequence[str], **words: str) -> Expression:
        """The sentences of some patterns about members of the group."""
        wordings = tuple(pattern.format(x=self.noun, xs=self.nouns, **words) for pattern in patterns)
        return Expression(kind, tuple(int(i) for i in targets), wordings)


def expressions(things: Sequence[Thing], shape: tuple[int, int]) -> list[Expression]:
    """Every sentence that the rules can make of these objects.

    Parameters
    ----------
    things : sequence of Thing
        All objects of the names that occur; an object left out makes sentences wrong.
    shape : (height, width)
        Size of the image in pixels.
    """
    if not things:
        return []
    layout = _Layout(things, shape)
    groups = _groups(things)
    found = [expression for group in groups for expression in _of_group(group, layout)]
    return found + list(_relations(groups, layout))


def choose(found: Sequence[Expression], rng: np.random.Generator) -> tuple[str, tuple[int, ...]]:
    """One sentence and its targets; the rules are equally likely, however many sentences each has made."""
    kinds = sorted({expression.kind for expression in found})
    kind = kinds[rng.integers(len(kinds))]
    same = [expression for expression in found if expression.kind == kind]
    chosen = same[rng.integers(len(same))]
    return chosen.wordings[rng.integers(len(chosen.wordings))], chosen.targets


class _Layout:
    """Where the objects are, as fractions of the image."""

    def __init__(self, things: Sequence[Thing], shape: tuple[int, int]) -> None:
        boxes = np.array([thing.box for thing in things], dtype=np.float64) / np.tile(shape, 2)
        self.low, self.high = boxes[:, :2], boxes[:, 2:]
        self.centres = (self.low + self.high) / 2
        self.areas = np.array([thing.area for thing in things], dtype=np.float64)


def _groups(things: Sequence[Thing]) -> list[_Group]:
    names = np.array([thing.name for thing in things])
    colours = np.array([thing.colour or "" for thing in things])
    groups = [_Group(name, plural(name), np.flatnonzero(names == name)) for name in dict.fromkeys(names.tolist())]
    # A colour says which object is meant only when the colour of every other candidate is clear.
    for name in dict.fromkeys(names.tolist()):
        of_name = names == name
        if (colours[of_name] != "").all():
            for colour in dict.fromkeys(colours[of_name].tolist()):
                phrase = f"{colour} {name}"
                groups.append(_Group(phrase, plural(phrase), np.flatnonzero(of_name & (colours == colour))))
    if (colours != "").all() and len(set(names.tolist())) > 1:
        for colour in dict.fromkeys(colours.tolist()):
            for noun in ("one", "object"):
                members = np.flatnonzero(colours == colour)
                groups.append(_Group(f"{colour} {noun}", f"{colour} {noun}s", members))
    return groups


def _of_group(group: _Group, layout: _Layout) -> Iterator[Expression]:
    members = group.members
    if len(members) == 1:
        yield group.expression("only", members, _ONLY)
    else:
        yield group.expression("all", members, _ALL)
        yield from _sides(group, layout)
        yield from _sizes(group, layout)
        yield from _ordinals(group, layout)
    yield from _places(group, layout)


def _sides(group: _Group, layout: _Layout) -> Iterator[Expression]:
    members = group.members
    for side, (axis, sign, for_two, for_many) in _SIDES.items():
        centres = sign * layout.centres[members, axis]
        edges = sign * (layout.low if sign > 0 else layout.high)[members, axis]
        order = np.argsort(centres)
        margin = 0.12 if len(members) == 2 else 0.06
        if centres[order[1]] - centres[order[0]] >= margin and edges.argmin() == order[0]:
            wordings = for_two if len(members) == 2 else for_many
            yield group.expression(side, [members[order[0]]], wordings)


def _sizes(group: _Group, layout: _Layout) -> Iterator[Expression]:
    order = group.members[np.argsort(layout.areas[group.members])]
    areas = layout.areas[order]
    if areas[-1] >= 1.25 * areas[-2]:
        yield group.expression("biggest", [order[-1]], _BIGGEST)
    if areas[1] >= 1.25 * areas[0]:
        yield group.expression("smallest", [order[0]], _SMALLEST)


def _ordinals(group: _Group, layout: _Layout) -> Iterator[Expression]:
    if not 3 <= len(group.members) <= 7:
        return
    for side, (axis, sign, _, _) in _SIDES.items():
        centres = sign * layout.centres[group.members, axis]
        order = np.argsort(centres)
        gaps = np.diff(centres[order])
        for place in range(1, min(len(order) - 1, len(_ORDER))):
            # The count is clear when everything up to the next object keeps a distance.
            if gaps[: place + 1].min() >= 0.05:
                target = [group.members[order[place]]]
                yield group.expression("ordinal", target, _ORDINAL, n=_ORDER[place], side=side)


def _places(group: _Group, layout: _Layout) -> Iterator[Expression]:
    """Corners and the middle of the image."""
    centres = layout.centres[group.members]
    for row, vertical in ((0.0, "top"), (1.0, "bottom")):
        for column, horizontal in ((0.0, "left"), (1.0, "right")):
            distance = np.abs(centres - (row, column)).max(axis=1)
            if (distance < 0.4).sum() == 1 and (distance < 0.55).sum() == 1:
                target = [group.members[distance.argmin()]]
                yield group.expression("corner", target, _CORNER, v=vertical, h=horizontal)
    distance = np.abs(centres - 0.5).max(axis=1)
    if len(group.members) > 2 and (distance < 0.12).sum() == 1 and (distance < 0.25).sum() == 1:
        yield group.expression("middle", [group.members[distance.argmin()]], _MIDDLE)


def _relations(groups: Sequence[_Group], layout: _Layout) -> Iterator[Expression]:
    anchors = [group for group in groups if len(group.members) == 1 and not group.noun.endswith(" one")]
    for anchor in anchors[:12]:
        landmark = int(anchor.members[0])
        for group in groups[:24]:
            if len(group.members) > 12 or landmark in group.members:
                continue
            yield from _next_to(group, anchor.noun, landmark, layout)
            yield from _beside(group, anchor.noun, landmark, layout)


def _next_to(group: _Group, noun: str, landmark: int, layout: _Layout) -> Iterator[Expression]:
    members = group.members
    if len(members) < 2:
        return
    apart = np.maximum(layout.low[members] - layout.high[landmark], layout.low[landmark] - layout.high[members])
    gaps = np.hypot(*np.maximum(apart, 0).T)
    distances = np.hypot(*(layout.centres[members] - layout.centres[landmark]).T)
    order = np.argsort(distances)
    nearest, second = order[0], order[1]
    clear = distances[second] >= 1.4 * distances[nearest] + 0.05 and gaps[second] >= gaps[nearest] + 0.08
    if gaps[nearest] < 0.12 and clear and gaps.argmin() == nearest:
        yield group.expression("next", [members[nearest]], _NEXT, y=noun)


def _beside(group: _Group, noun: str, landmark: int, layout: _Layout) -> Iterator[Expression]:
    members = group.members
    if len(members) < 2:
        return
    for (axis, sign), patterns in _BESIDE.items():
        # `ahead` counts away from the landmark to the named side; `drift` is how far off the straight line.
        ahead = sign * (layout.centres[landmark, axis] - layout.centres[members, axis])
        drift = np.abs(layout.centres[landmark, 1 - axis] - layout.centres[members, 1 - axis])
        possible, sure = ahead > 0.0, (ahead > 0.1) & (drift < 0.6 * ahead)
        if possible.sum() == 1 and sure.sum() == 1:
            yield group.expression("beside", [members[possible.argmax()]], patterns, y=noun)
