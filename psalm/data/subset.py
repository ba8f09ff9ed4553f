"""A share of a collection, to try a training on."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np


class Subset:
    """Some samples of every source of a collection, spread over its list; at least one of each.

    Parameters
    ----------
    samples : Samples
        The whole collection.
    share : float
        How much of it, above 0, at most 1.
    """

    def __init__(self, samples: Any, share: float) -> None:
        self._samples = samples
        places: dict[str, list[int]] = defaultdict(list)
        for index, source in enumerate(samples.sources):
            places[source].append(index)
        self._chosen = sorted(
            own[place]
            for own in places.values()
            for place in np.linspace(0, len(own) - 1, max(round(len(own) * share), 1)).round().astype(int)
        )

    def __len__(self) -> int:
        return len(self._chosen)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # not there yet while another process unpacks this one
            raise AttributeError(name)
        return getattr(self._samples, name)

    @property
    def sources(self) -> list[str]:
        """The source of each sample that is left."""
        whole = self._samples.sources
        return [whole[index] for index in self._chosen]

    def sample(self, index: int, *args: Any, **options: Any) -> Any:
        """As the collection's own, counted among what is left."""
        return self._samples.sample(self._chosen[index], *args, **options)

    def image(self, index: int, *args: Any, **options: Any) -> Any:
        """As the collection's own, counted among what is left."""
        return self._samples.image(self._chosen[index], *args, **options)

    def labelled(self, index: int, *args: Any, **options: Any) -> Any:
        """As the collection's own, counted among what is left."""
        return self._samples.labelled(self._chosen[index], *args, **options)

    @property
    def sentence_lists(self) -> float:
        """As the collection's own; written out, since Python 3.12 looks for it in the class."""
        return float(getattr(self._samples, "sentence_lists", 0.0))
