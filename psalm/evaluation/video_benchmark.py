"""DAVIS-2017: objects given in the first frame, followed through the video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.data.davis import Davis
from psalm.evaluation.benchmark import Benchmark, Picture, Record
from psalm.evaluation.boundary import contour_accuracy, region_similarity
from psalm.evaluation.figures import mean
from psalm.evaluation.predictor import Predictor

Labels = NDArray[np.int64]
# (predictor, frame by number, number of frames, labels of frame 0) -> labels of frame 1, 2, ...
Follow = Callable[[Any, Callable[[int], NDArray[np.uint8]], int, Labels], Iterator[Labels]]
_PARTS = 4


class VideoBenchmark(Benchmark):
    """J, F and their mean, as the DAVIS protocol has them for objects given in the first frame.

    Figures of an object are means over the frames without the first, which is given, and the last; those of the data
    set are means over its objects.

    Parameters
    ----------
    split : str
    reader : Davis
    follow : callable, optional
        How objects are followed; as `psalm.evaluation.following.follow_objects` does when not given.
    """

    def __init__(self, split: str, reader: Davis, follow: Follow | None = None) -> None:
        self.name, self.split, self.reader = "davis", split, reader
        self.settings: dict[str, Any] = {}
        self._follow = follow

    def __len__(self) -> int:
        return len(self.reader.videos)

    def ask(self, indices: Sequence[int], predictor: Predictor) -> list[Record]:
        return [self._ask(self.reader.videos[index], predictor) for index in indices]

    def _ask(self, video: str, predictor: Predictor) -> Record:
        numbers = _objects(self.reader.labels(video, 0))
        scores: dict[int, list[tuple[float, float]]] = {number: [] for number in numbers}
        last = self.reader.num_frames(video) - 1
        for at, found in enumerate(self._answers(video, predictor), start=1):
            if at == last:
                break
            truth = self.reader.labels(video, at)
            for number in numbers:
                pair = found == number, truth == number
                scores[number].append((region_similarity(*pair), contour_accuracy(*pair)))
        objects = {
            str(number): {"j": [j for j, _ in rows], "f": [f for _, f in rows]} for number, rows in scores.items()
        }
        quality = mean(value for rows in objects.values() for value in (mean(rows["j"]), mean(rows["f"])))
        return {"video": video, "objects": objects, "quality": quality}

    def _answers(self, video: str, predictor: Predictor) -> Iterator[Labels]:
        follow = self._follow or _follow
        count = self.reader.num_frames(video)
        return follow(predictor, lambda n: self.reader.frame(video, n), count, self.reader.labels(video, 0))

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        per_video = {
            record["video"]: _figures(list(record["objects"].values())) for record in sorted(records, key=_video)
        }
        overall = _figures([each for record in records for each in record["objects"].values()])
        notes = ["The first frame, which is given, and the last are left out, as the protocol has it."]
        return {"overall": {"videos": len(records), **overall}, "per_video": per_video, "notes": notes}

    def picture(self, index: int, predictor: Predictor) -> Picture:
        """The frame in the middle of a video."""
        video = self.reader.videos[index]
        middle = max(self.reader.num_frames(video) // 2, 1)
        found = next(labels for at, labels in enumerate(self._answers(video, predictor), start=1) if at == middle)
        truth = self.reader.labels(video, middle)
        numbers = _objects(self.reader.labels(video, 0))
        shown, answered = (np.stack([labels == number for number in numbers]) for labels in (truth, found))
        return Picture(self.reader.frame(video, middle), shown, answered, f"{video}, frame {middle}")


def object_figures(values: Sequence[float]) -> dict[str, float | None]:
    """Mean, recall (share of frames above 0.5) and decay (first quarter minus last) of one object's frames."""
    parts = np.array_split(np.array(values), _PARTS)
    first, last = (float(part.mean()) if part.size else None for part in (parts[0], parts[-1]))
    decay = None if first is None or last is None else first - last
    return {"mean": mean(values), "recall": mean(float(value > 0.5) for value in values), "decay": decay}


def _figures(objects: Sequence[dict[str, list[float]]]) -> dict[str, Any]:
    j, f = ([object_figures(rows[key]) for rows in objects] for key in ("j", "f"))
    means = {
        f"{key}_{name}": mean(each[name] for each in group) for key, group in (("j", j), ("f", f)) for name in j[0]
    }
    both = mean([means["j_mean"], means["f_mean"]])
    return {"objects": len(objects), "j_and_f": both, **means}


def _objects(labels: Labels) -> list[int]:
    return [int(number) for number in np.unique(labels) if number]


def _video(record: Record) -> str:
    return str(record["video"])


def _follow(predictor: Any, frame: Callable[[int], NDArray[np.uint8]], count: int, first: Labels) -> Iterator[Labels]:
    from psalm.evaluation.following import follow_objects

    return follow_objects(predictor, frame, count, first)
