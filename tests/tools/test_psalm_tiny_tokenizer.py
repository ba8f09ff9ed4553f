"""The same texts give the same word pieces, whole words where they are frequent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tokenizers import Tokenizer

from psalm.data.shapes import SHAPES
from tools.psalm_tiny_tokenizer import SPECIAL, learn

LINES = [f"the {place} {shape} next to the sneakers" for place in ("leftmost", "biggest") for shape in SHAPES] * 3
SAVE = (
    "import json, sys\nfrom tools.psalm_tiny_tokenizer import learn\nlearn(json.load(sys.stdin), 300).save(sys.argv[1])"
)


def test_the_same_texts_give_the_same_tokenizer(tmp_path: Path) -> None:
    # Each process orders its hash tables in a way of its own.
    files = [tmp_path / f"{run}.json" for run in range(3)]
    for file in files:
        subprocess.run([sys.executable, "-c", SAVE, str(file)], input=json.dumps(LINES), text=True, check=True)
    assert len({file.read_text() for file in files}) == 1


def test_it_knows_the_special_tokens_and_nothing_else_apart(tmp_path: Path) -> None:
    tokenizer = learn(LINES, 300)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    read = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert [read.token_to_id(token) for token in SPECIAL] == list(range(len(SPECIAL)))
    assert read.encode("the Biggest square").tokens == ["the", "biggest", "square"]
    assert read.encode("a ##b [SEG]").tokens[-1] == "[SEG]"
    assert "##b" not in read.encode("a ##b").tokens
    assert "[UNK]" not in read.encode("zqx 7.5, (w)").tokens
    assert read.decode(read.encode("the leftmost triangle").ids) == "the leftmost triangle"
