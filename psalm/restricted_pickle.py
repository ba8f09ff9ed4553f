"""Read a pickle that holds plain data only; one that asks for anything else is refused before any of it runs."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

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
    return _read(path, _PlainUnpickler, "plain data")


def read_array_pickle(path: Path | str) -> Any:
    """Read a pickle as `read_plain_pickle`, with numeric numpy arrays among its values.

    Three names are looked up beside plain values: those by which numpy makes an empty array, its type and its bytes.
    Arrays of objects are refused.

    Raises
    ------
    AnnotationError
        As `read_plain_pickle`.
    """
    return _read(path, _ArrayUnpickler, "plain data and arrays")


def _read(path: Path | str, unpickler: type[_PlainUnpickler], what: str) -> Any:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    try:
        return unpickler(io.BytesIO(content), encoding="latin1").load()
    except _NotPlain as error:
        raise AnnotationError(
            f"{path} is not a pickle of {what} ({error}), so it is not opened: it could run any program. "
            "Get the file from its own home."
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


class _ArrayUnpickler(_PlainUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {"numpy.dtype": _numeric, "numpy.ndarray": np.ndarray, "_codecs.encode": _latin1}
        for home in ("numpy.core", "numpy._core"):
            known |= {f"{home}.multiarray._reconstruct": _empty, f"{home}.multiarray.scalar": _scalar}
        if f"{module}.{name}" not in known:
            super().find_class(module, name)
        return known[f"{module}.{name}"]


def _numeric(kind: str, *_: Any) -> np.dtype[Any]:
    made: np.dtype[Any] = np.dtype(str(kind))
    if made.kind not in "biufc":
        raise _NotPlain(f"it has an array of {kind!r}")
    return made


def _empty(*_: Any) -> np.ndarray[Any, Any]:
    return np.ndarray((0,), np.uint8)


def _scalar(kind: np.dtype[Any], content: bytes) -> Any:
    return np.frombuffer(content, kind)[0]


def _latin1(text: str, *_: Any) -> bytes:
    return text.encode("latin1")
