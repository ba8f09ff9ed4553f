"""Read a pickle that holds plain data only; one that asks for anything else is refused before any of it runs."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from psalm.errors import AnnotationError


def read_plain_pickle(path: Path | str) -> Any:
    """Read a pickle of lists, tuples, dicts, sets, strings, bytes, numbers, booleans and None.

    A pickle is a program. Everything it could do beyond putting plain values together needs a function or class that it
    names, and no name is looked up here.

    Parameters
    ----------
    path : path
        Written by Python 2 or 3; byte strings of Python 2 are read as Latin-1, as is usual for them.

    Raises
    ------
    AnnotationError
        When the file is missing or damaged, or asks for a function or class.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
    except _NotPlain as error:
        raise AnnotationError(
            f"{path} is not a pickle of plain data ({error}), so it is not opened: it could run any program. "
            "Get the file from the data set's own home."
        ) from error
    except Exception as error:  # a damaged pickle raises whatever its broken instructions meet
        raise AnnotationError(f"{path} is no readable pickle ({error}): get the file again.") from error


class _NotPlain(Exception):
    """The pickle asks for more than plain data."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise _NotPlain(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _NotPlain("it refers to an object outside the file")
