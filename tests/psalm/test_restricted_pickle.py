"""Plain data comes out of a pickle; anything that could run does not."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from psalm.errors import AnnotationError
from psalm.restricted_pickle import read_plain_pickle

VALUE = [{"sent": "the left cat", "ids": (1, -2, 2**70), "box": [0.5, 1e300]}, "caf\xe9", "\u732b", None, True, {}]


class Dangerous:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_survives(tmp_path, protocol):
    # before protocol 4, sets and bytes are written as calls
    value = [*VALUE, {"a"}, frozenset("b"), b"bytes"] if protocol >= 4 else VALUE
    (tmp_path / "plain.p").write_bytes(pickle.dumps(value, protocol=protocol))
    assert read_plain_pickle(tmp_path / "plain.p") == value


def test_python_2_strings_are_read(tmp_path):
    # A Python 2 pickle of {'sent': 'caf\xe9', u'n': 3L}, protocol 2
    (tmp_path / "two.p").write_bytes(
        b"\x80\x02}q\x00(U\x04sentq\x01U\x04caf\xe9q\x02X\x01\x00\x00\x00nq\x03\x8a\x01\x03u."
    )
    assert read_plain_pickle(tmp_path / "two.p") == {"sent": "caf\xe9", "n": 3}


@pytest.mark.parametrize("value", [Dangerous(), np.float64(1), OrderedDict(a=1), [1, {"x": Dangerous()}], len, 1j])
def test_anything_else_is_refused_and_nothing_runs(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.p").write_bytes(pickle.dumps(value))
    with pytest.raises(AnnotationError, match=r"not a pickle of plain data \(it asks for"):
        read_plain_pickle("bad.p")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.p"]


def test_persistent_objects_and_old_style_instances_are_refused(tmp_path):
    for content in (b"Pevil\n.", b"(ios\nsystem\n.", b"(S'ls'\nios\nsystem\n."):
        (tmp_path / "bad.p").write_bytes(content)
        with pytest.raises(AnnotationError, match="plain data"):
            read_plain_pickle(tmp_path / "bad.p")


def test_damage_is_named(tmp_path):
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_plain_pickle(tmp_path / "none.p")
    for content in (b"", b"not a pickle", pickle.dumps([1, 2, 3])[:-4]):
        (tmp_path / "bad.p").write_bytes(content)
        with pytest.raises(AnnotationError, match=r"no readable pickle|plain data"):
            read_plain_pickle(tmp_path / "bad.p")
