"""The tokenizer that belongs to a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from psalm.errors import CheckpointError

PAD, SEG = "[PAD]", "[SEG]"


def read_tokenizer(path: str | Path, vocab_size: int) -> PreTrainedTokenizerFast:
    """Read a tokenizer and make sure that the model knows its tokens.

    A plain tokenizer of Phi (CodeGen) gets the tokens that PSALM was trained with, in that order: ``[PAD]``, unless it
    has a token for padding, then ``[SEG]``.

    Parameters
    ----------
    path : str or Path
        A ``tokenizer.json``, or a folder with one or with ``vocab.json`` and ``merges.txt``.
    vocab_size : int
        How many tokens the model knows.

    Raises
    ------
    CheckpointError
        When the files are missing or damaged, or do not belong to the model.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    file = path / "tokenizer.json" if path.is_dir() else path
    legacy = [folder / "vocab.json", folder / "merges.txt"]
    if not file.exists() and not all(part.exists() for part in legacy):
        raise CheckpointError(
            f"The tokenizer {file} is missing (and so are vocab.json and merges.txt): put the tokenizer the "
            "model was trained with there; for the published PSALM that of Phi-1.5 will do."
        )
    tokenizer: Any
    try:
        if file.exists():
            tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file))
        else:
            # Its import knows every model of transformers, and takes half a second.
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, tokenizer_type="codegen")
    except Exception as error:  # the tokenizers library raises nothing more particular
        raise CheckpointError(f"The tokenizer {file} cannot be read ({error}): copy or download it again.") from error
    add_special_tokens(tokenizer, _pad_token(folder))
    if len(tokenizer) > vocab_size:
        raise CheckpointError(
            f"The tokenizer {file} has {len(tokenizer)} tokens, but the model knows {vocab_size}: "
            "use the tokenizer the model was trained with."
        )
    return tokenizer


def add_special_tokens(tokenizer: PreTrainedTokenizerFast, pad_token: str | None = None) -> None:
    """Add ``[PAD]`` and ``[SEG]`` as training did; nothing where ``[SEG]`` is known already.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    pad_token : str, optional
        A token that pads already, so that none is added.
    """
    if SEG in tokenizer.get_vocab():
        return
    if pad_token is None and tokenizer.pad_token is None and PAD not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"pad_token": PAD})
    tokenizer.add_tokens(SEG)


def _pad_token(folder: Path) -> str | None:
    """The token for padding that a tokenizer's own config names."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        try:
            values: Any = json.loads((folder / name).read_text(encoding="utf-8")).get("pad_token")
        except (OSError, ValueError, AttributeError):
            continue
        if values:
            return str(values["content"]) if isinstance(values, dict) else str(values)
    return None
