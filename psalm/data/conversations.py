"""Conversations about images in LLaVA's format: the fourth kind of training batch (PSALM, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from psalm.conditions import Task
from psalm.data.layout import Layout, Part, image_key, inside, read_json
from psalm.errors import AnnotationError
from psalm.images import read_image, to_rgb8

HOME = "the LLaVA repository, docs/Data.md"
IMAGE_TAG = "<image>"
_SPEAKERS: dict[str, Literal["user", "model"]] = {"human": "user", "user": "user", "gpt": "model", "assistant": "model"}


@dataclass(frozen=True)
class Turn:
    """What one side says.

    Parameters
    ----------
    speaker : {"user", "model"}
    text : str
        The image stands where ``<image>`` is, in the first turn.
    """

    speaker: Literal["user", "model"]
    text: str


@dataclass(frozen=True)
class Conversation:
    """An image and what is said about it.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        RGB.
    turns : tuple of Turn
        User and model in turn, the user first; the image is named once.
    source : str
    key : str
        Names the pixels of `image`.
    """

    image: NDArray[np.uint8]
    turns: tuple[Turn, ...]
    source: str
    key: str


class Conversations:
    """A LLaVA file: ``blip_laion_cc_sbu_558k.json`` of stage 1, ``llava_v1_5_mix665k.json`` of stage 2.

    Entries without an image are left out, as in the published training.

    Parameters
    ----------
    root : path
        Folder with the file; image names start here, or in `images`.
    file : str
        Name of the file.
    images : path, optional
        Where image names start; `root` when not given.

    Raises
    ------
    AnnotationError
        When the file is missing or damaged, or no entry has an image.
    """

    def __init__(
        self, root: Path | str, file: str = "llava_v1_5_mix665k.json", images: Path | str | None = None
    ) -> None:
        layout(file).require(root)
        path = Path(root) / file
        self._folder = Path(images or root)
        self._source = path.stem
        entries = read_json(path, list)
        self._entries = [
            (str(entry["image"]), _turns(entry, path))
            for entry in entries
            if isinstance(entry, dict) and "image" in entry
        ]
        self.without_image = len(entries) - len(self._entries)
        if not self._entries:
            raise AnnotationError(f"{path} has no conversation with an image: give a LLaVA file.")

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def sources(self) -> list[str]:
        """The folder that each image lies in, such as ``coco/train2017``."""
        return [str(Path(name).parent) for name, _ in self._entries]

    def path(self, index: int) -> Path:
        """The image of conversation `index`."""
        return inside(self._folder, self._entries[index][0])

    def conversation(self, index: int) -> Conversation:
        """Conversation `index` with its image."""
        path, turns = self.path(index), self._entries[index][1]
        return Conversation(to_rgb8(read_image(path)), turns, self._source, image_key(path))

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Conversation:
        """Conversation `index`, whatever else is given: there is nothing to draw."""
        return self.conversation(index)


def layout(file: str = "llava_v1_5_mix665k.json") -> Layout:
    """What `Conversations` needs, beside the images."""
    return Layout("LLaVA conversations", HOME, (Part(file, "conversations"),))


def _turns(entry: dict[str, Any], path: Path) -> tuple[Turn, ...]:
    """What is said, from the first word of the user to the last of the model."""
    where = f"{path}: the conversation about {entry['image']}"
    said = [
        (_SPEAKERS.get(turn.get("from", "")), str(turn.get("value", ""))) for turn in entry.get("conversations") or ()
    ]
    said = said[1:] if said and said[0][0] == "model" else said
    said = said[:-1] if said and said[-1][0] == "user" else said
    if not said:
        raise AnnotationError(f"{where} has no question with an answer: get the published file.")
    turns = []
    for number, (speaker, text) in enumerate(said):
        if speaker is None or speaker != ("user", "model")[number % 2]:
            raise AnnotationError(f"{where} does not alternate between human and gpt at turn {number + 1}: correct it.")
        turns.append(Turn(speaker, text))
    named = sum(turn.text.count(IMAGE_TAG) for turn in turns)
    if named > 1:
        raise AnnotationError(f"{where} names the image {named} times: the model takes one image.")
    if not named:
        turns[0] = Turn("user", f"{IMAGE_TAG}\n{turns[0].text}")
    return tuple(turns)
