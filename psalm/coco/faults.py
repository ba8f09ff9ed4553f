"""What is wrong with an annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psalm.errors import AnnotationError


@dataclass(frozen=True)
class Fault:
    """Something wrong in a file.

    Parameters
    ----------
    kind : str
        A few words that faults of the same kind share.
    where : str
        The entry, as ``annotations[3] (id 4)``, or the line.
    what : str
        What is wrong there.
    cure : str
        What to do about it.
    fatal : bool
        Whether the meaning is in doubt, so that an import refuses the entry; otherwise other tools may misread it.
    """

    kind: str
    where: str
    what: str
    cure: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.cure}"


def refuse_fatal(path: object, faults: Sequence[Fault]) -> None:
    """Raise the first fatal fault of a file, with the number of the others.

    Raises
    ------
    AnnotationError
        When there is one.
    """
    fatal = [fault for fault in faults if fault.fatal]
    if fatal:
        more = f" There are {len(fatal) - 1} more faults like this or others." if len(fatal) > 1 else ""
        raise AnnotationError(f"{path}: {fatal[0]}.{more}")
