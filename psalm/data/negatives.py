"""Which names are certainly not in an image, when images come from sources with class lists of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_LABORATORY = frozenset({"microscopy", "medical"})
# Seen in photographs everywhere and labelled in few: their absence from a label file says nothing.
_COMMONPLACE = frozenset(
    ("person", "car", "building", "roof", "window", "vegetation", "tree", "street", "fence", "shop", "branch", "trunk",
     "house", "wall", "door", "road", "bag", "bottle", "card")
)  # fmt: skip
_MANY_NAMES = 30
# Everyday names that nobody overlooks: where the label file of a special subject lacks them, they are not there.
_CONSPICUOUS = frozenset(
    ("airplane", "banana", "bear", "bed", "bird", "broccoli", "cat", "cow", "dog", "donut", "elephant", "fire hydrant",
     "giraffe", "horse", "hot dog", "kite", "oven", "pizza", "refrigerator", "snowboard", "teddy bear", "tennis racket",
     "toilet", "train", "umbrella")
)  # fmt: skip
# Names that only generated scenes teach; no photograph shows one.
_MICROSCOPIC = frozenset({"cell", "bacterium"})


class Negatives:
    """Absent names per image.

    Parameters
    ----------
    names_of : mapping of str to iterable of str
        The class list of each source: in an exhaustive image of the source these are labelled wherever they occur.
    domain_of : mapping of str to str
        The domain of each source, for example ``"natural"`` or ``"microscopy"``.
    """

    def __init__(self, names_of: Mapping[str, Iterable[str]], domain_of: Mapping[str, str]) -> None:
        lists = {source: frozenset(names) for source, names in names_of.items()}
        everyday = {name for names in lists.values() if len(names) >= _MANY_NAMES for name in names - _CONSPICUOUS}
        self._own = lists
        self._all = frozenset(name for names in lists.values() for name in names)
        self._allowed = {
            source: self._strangers(source, lists, domain_of, everyday) | own for source, own in lists.items()
        }

    @staticmethod
    def _strangers(
        source: str, names_of: Mapping[str, frozenset[str]], domain_of: Mapping[str, str], everyday: set[str]
    ) -> frozenset[str]:
        """Names of other sources that cannot be in this one's images."""
        own_words = {word for name in names_of[source] for word in name.split()}
        allowed = set() if domain_of[source] in _LABORATORY else set(_MICROSCOPIC)
        for other, names in names_of.items():
            far = (domain_of[other] in _LABORATORY) != (domain_of[source] in _LABORATORY)
            for name in names:
                words = set(name.split())
                if words & own_words:
                    continue
                if far or not (name in everyday or words & _COMMONPLACE):
                    allowed.add(name)
        for other, names in names_of.items():
            # The same name may come from a nearer source as well.
            if domain_of[other] == domain_of[source]:
                allowed -= {name for name in names if name in everyday or set(name.split()) & _COMMONPLACE}
        return frozenset(allowed)

    def of(self, source: str, present: Iterable[str]) -> tuple[str, ...]:
        """Names that an image of `source` with the objects `present` does not show, sorted.

        A name that shares a word with one that is present ("bottle" and "glass bottle") is left out.
        """
        return _unlike(self._allowed.get(source, ()), present)

    def rivals(self, source: str, present: Iterable[str]) -> tuple[str, ...]:
        """Those of the names that the source itself labels: likely to be asked of the image, and hard to tell apart."""
        return _unlike(self._own.get(source, ()), present)

    def unchecked(self, source: str, present: Iterable[str]) -> tuple[str, ...]:
        """The other names: in the image or not, none of them is what the labelled objects are called."""
        return _unlike(self._all - self._allowed.get(source, frozenset()), present)


def _unlike(names: Iterable[str], present: Iterable[str]) -> tuple[str, ...]:
    words = {word for name in present for word in name.split()}
    return tuple(sorted(name for name in names if words.isdisjoint(name.split())))
