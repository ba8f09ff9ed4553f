"""What a user asks of the model: a task and the condition that its masks shall meet (PSALM, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psalm.errors import ConditionError

RegionKind = Literal["point", "scribble", "box", "mask"]


class Task(str, Enum):
    """A segmentation task; it chooses the instruction prompt and the decoding."""

    PANOPTIC = "panoptic"
    INSTANCE = "instance"
    SEMANTIC = "semantic"
    REFERRING = "referring"
    GENERALISED_REFERRING = "generalised-referring"
    INTERACTIVE = "interactive"


@dataclass(frozen=True)
class CategoryCondition:
    """A class list.

    Parameters
    ----------
    names : sequence of str
        Names, in the order in which results number them; unique, none empty. The background is not named.
    is_thing : sequence of bool, optional
        Countable objects (True) or stuff (False), per name; all things when not given.

    Raises
    ------
    ConditionError
        When the list is empty, or holds an empty or repeated name.
    """

    names: tuple[str, ...]
    is_thing: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.names, str):
            raise ConditionError(f"A class list is a list of names, not one string: use [{self.names!r}].")
        names = tuple(str(name).strip() for name in self.names)
        if not names:
            raise ConditionError("The class list is empty: give at least one name, for example ['cell'].")
        if "" in names:
            raise ConditionError(f"Name {names.index('') + 1} of the class list is empty: remove it or fill it in.")
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ConditionError(f"The class list repeats {', '.join(repeated)}: keep each name once.")
        is_thing = tuple(bool(flag) for flag in self.is_thing) or (True,) * len(names)
        if len(is_thing) != len(names):
            raise ConditionError(f"is_thing has {len(is_thing)} entries for {len(names)} names: give one per name.")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "is_thing", is_thing)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class SentenceCondition:
    """A referring expression, such as ``"the cell on the left"``.

    Raises
    ------
    ConditionError
        When the text is empty.
    """

    text: str

    def __post_init__(self) -> None:
        text = " ".join(str(self.text).split())
        if not text:
            raise ConditionError("The sentence is empty: describe the object, for example 'the cell on the left'.")
        object.__setattr__(self, "text", text)

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True)
class VisualPriorCondition:
    """Regions drawn on the image; each region asks for one object.

    Parameters
    ----------
    masks : (N, H, W) array of bool
        One mask per region, at the image's original size, axis order (row, column).
    kinds : sequence of {"point", "scribble", "box", "mask"}, optional
        How each region was drawn; all ``"mask"`` when not given. The published model sees the mask alone.
    excluded : (E, H, W) array of bool, optional
        What belongs to none of the objects that are asked for: a click or a stroke beside them. Only models with
        ``mask_generator: two_way`` know how to heed it.

    Raises
    ------
    ConditionError
        When there is no region, a region or exclusion is empty, or shapes or kinds do not fit.
    """

    masks: NDArray[np.bool_]
    kinds: tuple[RegionKind, ...] = ()
    excluded: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        masks = np.asarray(self.masks)
        if masks.ndim != 3 or masks.shape[0] == 0:
            raise ConditionError(f"Regions have shape {masks.shape}: give (N, height, width) with N >= 1.")
        masks = masks.astype(bool)
        empty = np.flatnonzero(~masks.any(axis=(1, 2)))
        if empty.size:
            raise ConditionError(f"Region {empty[0] + 1} covers no pixel of the image: draw it inside the image.")
        kinds = tuple(self.kinds) or ("mask",) * len(masks)
        if len(kinds) != len(masks) or not set(kinds) <= set(get_args(RegionKind)):
            raise ConditionError(f"Kinds {kinds} do not fit {len(masks)} regions: one of {get_args(RegionKind)} each.")
        object.__setattr__(self, "masks", masks)
        object.__setattr__(self, "kinds", kinds)
        object.__setattr__(self, "excluded", _excluded(self.excluded, masks.shape[1:]))

    def __len__(self) -> int:
        return len(self.masks)

    @classmethod
    def from_points(cls, points: ArrayLike, shape: tuple[int, int], radius: float = 10.0) -> VisualPriorCondition:
        """One region per click: a filled disc.

        Parameters
        ----------
        points : (N, 2) array
            (row, column) of each click in pixels; integers are pixel centres.
        shape : (height, width)
            Size of the image.
        radius : float
            Radius of the disc in pixels; the published model uses 10.
        """
        points = _rows(points, 2, "Points", "(row, column)")
        _check_inside(points, shape, "Point")
        masks = np.stack([_thick([point], shape, radius) for point in points])
        return cls(masks, _all("point", len(points)))

    @classmethod
    def from_scribbles(
        cls, paths: Sequence[ArrayLike], shape: tuple[int, int], radius: float = 5.0
    ) -> VisualPriorCondition:
        """One region per scribble: a line of `radius` pixels to either side.

        Parameters
        ----------
        paths : sequence of (M, 2) array
            Vertices (row, column) of each line, joined by straight strokes.
        shape : (height, width)
            Size of the image.
        radius : float
            Half width in pixels; the published model uses 5.
        """
        lines = [_rows(path, 2, "Scribbles", "(row, column)") for path in paths]
        if not lines:
            raise ConditionError("There is no scribble: draw at least one line.")
        masks = [_thick(_dense(line), shape, radius) for line in lines]
        return cls(np.stack(masks), _all("scribble", len(masks)))

    @classmethod
    def from_boxes(cls, boxes: ArrayLike, shape: tuple[int, int]) -> VisualPriorCondition:
        """One region per box.

        Parameters
        ----------
        boxes : (N, 4) array
            (row0, column0, row1, column1) in pixels; the upper ends are exclusive.
        shape : (height, width)
            Size of the image.
        """
        boxes = _rows(boxes, 4, "Boxes", "(row0, column0, row1, column1)")
        masks = np.zeros((len(boxes), *shape), dtype=bool)
        for mask, box in zip(masks, boxes, strict=True):
            r0, c0, r1, c1 = np.round(box).astype(int)
            mask[max(r0, 0) : max(r1, 0), max(c0, 0) : max(c1, 0)] = True
        return cls(masks, _all("box", len(boxes)))

    @classmethod
    def concatenate(cls, conditions: Sequence[VisualPriorCondition]) -> VisualPriorCondition:
        """Join the regions of several conditions on the same image; what one excludes, all then exclude."""
        masks = np.concatenate([condition.masks for condition in conditions])
        excluded = [condition.excluded for condition in conditions if condition.excluded is not None]
        kinds = tuple(kind for condition in conditions for kind in condition.kinds)
        return cls(masks, kinds, np.concatenate(excluded) if excluded else None)


Condition: TypeAlias = CategoryCondition | SentenceCondition | VisualPriorCondition

_CONDITION_OF: dict[Task, type] = {
    Task.PANOPTIC: CategoryCondition,
    Task.INSTANCE: CategoryCondition,
    Task.SEMANTIC: CategoryCondition,
    Task.REFERRING: SentenceCondition,
    Task.GENERALISED_REFERRING: SentenceCondition,
    Task.INTERACTIVE: VisualPriorCondition,
}


def check_task(task: Task | str, condition: Condition) -> Task:
    """Return `task` as a `Task` when `condition` can serve it.

    Raises
    ------
    ConditionError
        When the task is unknown or needs another kind of condition.
    """
    try:
        task = Task(task)
    except ValueError:
        names = ", ".join(member.value for member in Task)
        raise ConditionError(f"There is no task {task!r}: choose one of {names}.") from None
    expected = _CONDITION_OF[task]
    if not isinstance(condition, expected):
        raise ConditionError(f"The task {task.value} needs a {expected.__name__}, not a {type(condition).__name__}.")
    return task


def default_task(condition: Condition) -> Task:
    """The task that a condition most often means: instance, referring or interactive."""
    if isinstance(condition, CategoryCondition):
        return Task.INSTANCE
    return Task.REFERRING if isinstance(condition, SentenceCondition) else Task.INTERACTIVE


def _excluded(given: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Checked masks (E, H, W) of an image of this shape; None where nothing is excluded."""
    if given is None or not len(given):  # type: ignore[arg-type]
        return None
    masks = np.asarray(given).astype(bool)
    if masks.ndim != 3 or masks.shape[1:] != shape:
        raise ConditionError(f"Exclusions have shape {masks.shape}: give (E, {shape[0]}, {shape[1]}), as regions have.")
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        raise ConditionError(f"Exclusion {empty[0] + 1} covers no pixel of the image: draw it inside the image.")
    return masks


def _all(kind: RegionKind, count: int) -> tuple[RegionKind, ...]:
    return (kind,) * count


def _rows(values: ArrayLike, width: int, what: str, order: str) -> NDArray[np.float64]:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim == 1 and rows.size == width:
        rows = rows[None]
    if rows.ndim != 2 or rows.shape[1] != width or len(rows) == 0:
        raise ConditionError(f"{what} have shape {rows.shape}: give (N, {width}) rows of {order} with N >= 1.")
    if not np.isfinite(rows).all():
        raise ConditionError(f"{what} hold NaN or infinite coordinates: remove them.")
    return rows


def _check_inside(points: NDArray[np.float64], shape: tuple[int, int], what: str) -> None:
    upper = np.asarray(shape) - 0.5
    outside = np.flatnonzero(((points < -0.5) | (points > upper)).any(axis=1))
    if outside.size:
        row, column = points[outside[0]]
        raise ConditionError(
            f"{what} {outside[0] + 1} at (row {row:g}, column {column:g}) lies outside the image of "
            f"{shape[0]} x {shape[1]} pixels: place it inside."
        )


def _dense(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points at most one pixel apart along a polyline (M, 2)."""
    pieces = [line[:1]]
    for start, end in zip(line[:-1], line[1:], strict=True):
        steps = max(int(np.ceil(np.abs(end - start).max())), 1)
        pieces.append(start + (end - start) * np.linspace(0, 1, steps + 1)[1:, None])
    return np.concatenate(pieces)


def _thick(points: ArrayLike, shape: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """Pixels whose centre is at most `radius` away from one of `points` (M, 2)."""
    mask = np.zeros(shape, dtype=bool)
    for row, column in np.asarray(points, dtype=np.float64):
        r0, r1 = max(int(np.floor(row - radius)), 0), min(int(np.ceil(row + radius)) + 1, shape[0])
        c0, c1 = max(int(np.floor(column - radius)), 0), min(int(np.ceil(column + radius)) + 1, shape[1])
        if r0 >= r1 or c0 >= c1:
            continue
        rows, columns = np.ogrid[r0:r1, c0:c1]
        mask[r0:r1, c0:c1] |= (rows - row) ** 2 + (columns - column) ** 2 <= max(radius, 0.75) ** 2
    return mask
