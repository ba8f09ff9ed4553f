"""Weights that training starts from: a backbone, Mask2Former, Phi, a projector of stage 1 (PSALM, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from psalm.checkpoint import read_weights
from psalm.errors import ConfigError
from psalm.model_folders import find_model
from psalm.modeling.official_checkpoint import to_our_names
from psalm.modeling.psalm import PSALM
from psalm.modeling.two_way_generator import TwoWayGenerator
from psalm.restricted_pickle import read_array_pickle

# Where the parts of Mask2Former went in the published model; the first that fits counts.
_MASK2FORMER = (
    ("backbone.", "model.vision_tower."),
    ("sem_seg_head.pixel_decoder.adapter_1.norm.", "pixel_decoder.adapter_1.1."),
    ("sem_seg_head.pixel_decoder.adapter_1.", "pixel_decoder.adapter_1.0."),
    ("sem_seg_head.pixel_decoder.layer_1.norm.", "pixel_decoder.layer_1.1."),
    ("sem_seg_head.pixel_decoder.layer_1.", "pixel_decoder.layer_1.0."),
    ("sem_seg_head.pixel_decoder.", "pixel_decoder."),
    ("sem_seg_head.predictor.", "predictor."),
)


def read_backbone(path: str, model: PSALM) -> dict[str, Tensor]:
    """The backbone of another model of ours, in float32.

    Raises
    ------
    ConfigError
        When the weights have none.
    CheckpointError
        When the weights cannot be read.
    """
    state = read_weights(find_model(path), torch.float32)
    backbone = {name: tensor for name, tensor in state.items() if name.startswith("backbone.")}
    if not backbone:
        raise ConfigError(f"{path} holds no backbone: correct model.backbone.")
    return backbone


def read_mask2former(path: str, model: PSALM) -> dict[str, Tensor]:
    """Backbone, pixel decoder and transformer decoder of a Mask2Former checkpoint, under our names.

    What PSALM does not have (the classifier, the learned queries) is left out; what Mask2Former does not have (mask
    tokens, condition heads, biases of two convolutions) stays as it is initialised.

    Parameters
    ----------
    path : str
        A detectron2 ``.pkl``; read by an unpickler that knows plain values and arrays only.
    model : PSALM
        With the Swin backbone and the Mask2Former generator of the same size.

    Raises
    ------
    ConfigError
        When the file holds no such model.
    AnnotationError
        When it is not readable or asks for more than arrays.
    """
    content = read_array_pickle(path)
    state = content.get("model", content) if isinstance(content, dict) else {}
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        official = next((new + key[len(old) :] for old, new in _MASK2FORMER if key.startswith(old)), None)
        if official and isinstance(value, np.ndarray):
            renamed |= to_our_names(official, torch.from_numpy(np.ascontiguousarray(value)), model.config.lm_heads)
    if not any(name.startswith("backbone.") for name in renamed):
        raise ConfigError(f"{path} holds no Mask2Former with a Swin backbone: correct model.mask2former.")
    return renamed


def read_phi(path: str, model: PSALM) -> dict[str, Tensor]:
    """The language model of a Phi folder, under our names.

    Phi's table of words is longer than its vocabulary, and new tokens follow it: rows that both have are taken, others
    stay as they are initialised. The bias of Phi's head has no place in PSALM.

    Parameters
    ----------
    path : str
        Folder with safetensors or ``pytorch_model.bin``; queries, keys and values may be fused.
    model : PSALM

    Raises
    ------
    ConfigError
        When the folder holds no Phi.
    CheckpointError
        When its weights cannot be read.
    """
    renamed: dict[str, Tensor] = {}
    for key, tensor in read_weights(path).items():
        if key != "lm_head.bias":
            renamed |= to_our_names(key, tensor, model.config.lm_heads)
    if "language_model.model.embed_tokens.weight" not in renamed:
        raise ConfigError(f"{path} holds no Phi model: correct model.phi.")
    mine = model.state_dict()
    language = {name: tensor for name, tensor in renamed.items() if name in mine}
    for name in ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight"):
        if name in language:
            language[name] = _rows_of(language[name], mine[name])
    return {name: tensor.float() for name, tensor in language.items()}


def read_projector(path: str, model: PSALM) -> dict[str, Tensor]:
    """The projector that stage 1 made: of a model folder of ours, or of the published code.

    Raises
    ------
    ConfigError
        When there is none.
    CheckpointError
        When the weights cannot be read.
    """
    state: Mapping[str, Tensor] = read_weights(Path(path))
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        renamed |= to_our_names(key, tensor, model.config.lm_heads) or {key: tensor}
    projector = {name: tensor for name, tensor in renamed.items() if name.startswith("projector.")}
    if not projector:
        raise ConfigError(f"{path} holds no projector: correct model.projector.")
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in projector.items()}


def with_semantic_columns(state: Mapping[str, Tensor], model: PSALM) -> dict[str, Tensor]:
    """The weights of a model without a semantic backbone, widened for one that has it.

    What the backbone sees under a mask joins its description. The new columns begin without weight and unmeasured, so
    that the model answers as before; other weights are returned as they are.

    Parameters
    ----------
    state : mapping of str to tensor
    model : PSALM
        That takes them.
    """
    generator = model.mask_generator
    if not isinstance(generator, TwoWayGenerator):
        return dict(state)
    start, stop = generator.semantic_columns.start, generator.semantic_columns.stop
    widened = dict(state)
    for name, fill in (("0.mean", 0.0), ("0.deviation", 1.0), ("1.weight", 0.0)):
        old = state.get(f"mask_generator.token.{name}")
        if old is not None and old.shape[-1] + stop - start == generator.description_size:
            new = old.new_full((*old.shape[:-1], stop - start), fill)
            widened[f"mask_generator.token.{name}"] = torch.cat([old[..., :start], new, old[..., start:]], dim=-1)
    return widened


def _rows_of(theirs: Tensor, ours: Tensor) -> Tensor:
    """Our table with the rows that theirs has as well."""
    rows = min(len(theirs), len(ours))
    return torch.cat([theirs[:rows].to(ours), ours[rows:]])
