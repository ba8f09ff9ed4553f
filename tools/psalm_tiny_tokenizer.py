"""Make the small model's tokenizer from the prompts, the names and the sentences that it will read.

    python tools/psalm_tiny_tokenizer.py --annotations annotations.json --refs refs.json --out runs/tokenizer.json

Words are lower-cased, so that a name reads the same alone and in a sentence; rare words fall into pieces.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from psalm.conditions import SentenceCondition, Task
from psalm.data.fields import FIELD_NAMES
from psalm.data.scenes import SceneSamples
from psalm.data.shapes import SHAPES
from psalm.data.words import ALIASES, COLOURS, plural
from psalm.prompts import template_texts

SPECIAL = ["[PAD]", "[UNK]", "<|endoftext|>", "[SEG]", "[REF]"]


def texts(annotations: Path, refs: Path, scenes: int) -> Iterator[str]:
    """Everything that the model will read, frequent things more often."""
    for template in template_texts():
        yield from [template] * 200
    names = [category["name"] for category in json.loads(annotations.read_text())["categories"]]
    names += [*SHAPES, *FIELD_NAMES, *COLOURS, *ALIASES, *(alias for group in ALIASES.values() for alias in group)]
    for name in names:
        yield from [name, plural(name)] * 20
    for ref in json.loads(refs.read_text()):
        yield from ref["sentences"]
    samples = SceneSamples(scenes, seed=99, size=(160, 224))
    for index in range(scenes):
        condition = samples.sample(index, np.random.default_rng(index), Task.REFERRING).condition
        if isinstance(condition, SentenceCondition):
            yield condition.text


def learn(lines: Iterable[str], size: int) -> Tokenizer:
    """A WordPiece tokenizer of at most `size` pieces, the same one for the same lines.

    The trainer numbers the letters within words as it meets them, in another order each time, and of pieces that are
    equally frequent it joins those with lower numbers first. So it is told these letters with the special tokens.
    """
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789.,:;-_/()'+&%<>[]"
    first = [*SPECIAL, *(f"##{sign}" for sign in alphabet if sign.isalnum())]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=first, initial_alphabet=list(alphabet), show_progress=False
    )
    learner = _tokenizer({})
    learner.train_from_iterator(lines, trainer)
    learnt = _tokenizer(learner.get_vocab())
    learnt.add_special_tokens(SPECIAL)
    return learnt


def _tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def main() -> None:
    """Train a WordPiece vocabulary and write tokenizer.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--refs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--scenes", type=int, default=1500)
    arguments = parser.parse_args()
    tokenizer = learn(texts(arguments.annotations, arguments.refs, arguments.scenes), arguments.size)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(arguments.out))


if __name__ == "__main__":
    main()
