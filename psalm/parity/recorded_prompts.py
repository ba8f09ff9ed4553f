"""The published code's inputs as our prompts and regions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from psalm.modeling.features import Regions
from psalm.prompts import REGION, ConditionKind, Prompt

# Placeholders that only the published ids have.
CATEGORY, SENTENCE = -202, -204

#: Names that the recorded tensors of each kind of condition bear.
COLUMN: dict[ConditionKind, str] = {"categories": "class_name", "sentence": "SEG", "regions": "region"}


def recorded_prompt(tensors: Mapping[str, Tensor], b: int) -> Prompt:
    """The prompt of image `b` of a batch.

    Where training shuffled the categories, the spans are in their true order, as the published code puts them back.
    """
    kind: ConditionKind = "regions"
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    for token in tensors["input_ids"][b][tensors["attention_mask"][b].bool()].tolist():
        start = len(ids)
        if token == CATEGORY:
            kind = "categories"
            ids += tensors["class_name_ids"][b][tensors["cls_indices"][b] == len(spans)].tolist()
        elif token == SENTENCE:
            kind = "sentence"
            ids += tensors[f"token_refer_id_{b}"].flatten().tolist()
        else:
            ids.append(token)
        if token in (CATEGORY, SENTENCE, REGION):
            spans.append((start, len(ids)))
    if "random_idx" in tensors and kind == "categories":
        spans = [spans[place] for place in tensors["random_idx"][b].tolist()]
    return Prompt(tuple(ids), tuple(spans), kind)


def recorded_prompts(tensors: Mapping[str, Tensor]) -> list[Prompt]:
    """The prompts of a batch."""
    return [recorded_prompt(tensors, b) for b in range(len(tensors["input_ids"]))]


def recorded_regions(tensors: Mapping[str, Tensor], prompts: list[Prompt]) -> list[Regions] | None:
    """The regions of a batch; None where the prompts have none."""
    if prompts[0].kind != "regions":
        return None
    masks = [tensors.get(f"vp_region_masks_{b}", tensors.get(f"region_masks_{b}")) for b in range(len(prompts))]
    return [Regions(mask.bool(), ("mask",) * len(mask)) for mask in masks if mask is not None]


def recorded_points(tensors: Mapping[str, Tensor], count: int) -> list[Tensor] | None:
    """The points that the published code drew in the regions of each image; None where it drew none."""
    points = [tensors[key] for b in range(count) if (key := f"region_sample_points_yx_{b}") in tensors]
    return points if len(points) == count else None


def recorded_logits(tensors: Mapping[str, Tensor], kind: ConditionKind, prefix: str = "") -> Tensor:
    """The condition logits (B, Q, K) of a batch, padded with zeros; regions are recorded the other way round."""
    if kind != "regions":
        return tensors[f"{prefix}pred_{COLUMN[kind]}_logits"]
    rows = [tensors[f"{prefix}pred_region_logits_{b}"] for b in range(len(tensors[f"{prefix}pred_masks"]))]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).transpose(1, 2)


def layer_prefixes(tensors: Mapping[str, Tensor]) -> list[str]:
    """``aux0_``, ``aux1_``, ... as far as recorded, then the final layer's empty prefix."""
    count = 0
    while f"aux{count}_pred_masks" in tensors:
        count += 1
    return [*(f"aux{i}_" for i in range(count)), ""]
