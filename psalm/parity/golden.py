"""A folder of recorded numbers, and the model whose numbers they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from psalm.config import PSALMConfig
from psalm.errors import CheckpointError
from psalm.modeling.features import ImageFeatures, Regions
from psalm.modeling.official_checkpoint import load_official_state_dict
from psalm.modeling.psalm import PSALM
from psalm.modeling.region_sampler import pool_points
from psalm.official_config import read_official_config


class RecordedModel(PSALM):
    """Pools regions at the points that the published code drew, where these are given.

    Attributes
    ----------
    points : sequence of (R, P, 2) tensor, optional
        One set per image.
    pooled : (B, R, lm_hidden) tensor, optional
        What was pooled last.
    """

    points: Sequence[Tensor] | None = None
    pooled: Tensor | None = None

    def pool_regions(self, features: ImageFeatures, regions: Sequence[Regions]) -> Tensor:
        """As the model does, but at the recorded points."""
        if self.points is None:
            self.pooled = super().pool_regions(features, regions)
        else:
            rows = [pool_points(tokens, at) for tokens, at in zip(features.image_tokens, self.points, strict=True)]
            self.pooled = pad_sequence(rows, batch_first=True)
        return self.pooled


class GoldenFolder:
    """Reads what is there.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    CheckpointError
        When there is no such folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise CheckpointError(f"There is no folder {self.path}: give the folder of recorded numbers.")

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return (self.path / name).is_file()

    def json(self, name: str) -> dict[str, Any]:
        """The object of a JSON file; empty when the file is not there."""
        if not self.has(name):
            return {}
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path / name} cannot be read ({error}): copy it again.") from error

    def tensors(self, name: str) -> dict[str, Tensor]:
        """All tensors of a file.

        Raises
        ------
        CheckpointError
            When the file is missing or damaged.
        """
        try:
            return load_file(self.path / name)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self.path / name} cannot be read ({error}): copy it again.") from error

    @cached_property
    def config(self) -> PSALMConfig:
        """The config of the recorded model: the published architecture at small sizes."""
        values = self.json("tiny_config.json")
        if not values:
            raise CheckpointError(
                f"{self.path} holds no tiny_config.json: copy it there beside tiny_official.safetensors."
            )
        config, tiny = read_official_config(values["llm_config"], values["mask_config"]), values["tiny"]
        return dataclasses.replace(
            config,
            name="psalm-recorded",
            image_size=tiny["image_size"],
            projector_dim=tiny["projector_planes"],
            pixel_decoder_ffn=tiny["pixel_decoder_ffn"],
            swin_drop_path=0.0,
        )

    @property
    def num_points(self) -> int:
        """Points of the recorded mask losses."""
        return int(self.json("tiny_config.json")["tiny"]["train_num_points"])

    def model(self) -> RecordedModel:
        """A fresh model with the recorded weights, in evaluation mode."""
        model = RecordedModel(self.config)
        load_official_state_dict(model, self.tensors("tiny_official.safetensors"))
        return model.eval()
