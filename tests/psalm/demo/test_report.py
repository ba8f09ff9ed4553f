from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from psalm.annotations import Annotations, Category
from psalm.demo.questions import Question
from psalm.demo.report import MARKER, embed, rows_of, write_report
from psalm.demo.run import Answer, Scene
from psalm.overlay import colour_of

IMAGE = np.full((6, 8, 3), 200, dtype=np.uint8)


def test_text_is_escaped_and_an_empty_answer_says_so(tmp_path):
    question = Question("coins", "A <b>title</b>", ("coin",), "x", (1, 1))
    empty = Annotations(np.zeros((0, 6, 8)), np.zeros(0), np.zeros(0), ())
    scene = Scene(question, IMAGE, (Answer("Sentence", "a < b & c", empty, IMAGE, "a.png"),), 0.25)
    text = write_report(tmp_path / "index.html", [scene], "model").read_text(encoding="utf-8")
    assert "A &lt;b&gt;title&lt;/b&gt;" in text and "a &lt; b &amp; c" in text
    assert "Nothing found" in text
    assert MARKER in text[:2000]


def test_rows_come_best_first_with_the_colour_of_their_object():
    masks = np.ones((2, 6, 8), dtype=bool)
    rows = list(
        rows_of(Annotations(masks, np.array([1, 2]), np.array([0.4, 0.8]), (Category(1, "a"), Category(2, "b"))))
    )
    assert [row.name for row in rows] == ["b", "a"]
    assert rows[0].colour == "#{:02x}{:02x}{:02x}".format(*colour_of(1))


def test_embed():
    data = base64.b64decode(embed(IMAGE).split(",", 1)[1])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (8, 6)
        assert abs(int(np.asarray(picture).mean()) - 200) <= 2
