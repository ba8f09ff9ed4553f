"""The published code's inputs as our prompts and regions."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from psalm.conditions import RegionKind
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
    regions = []
    for b in range(len(prompts)):
        key = f"vp_region_masks_{b}"
        masks = tensors[key if key in tensors else f"region_masks_{b}"].bool()
        kinds: list[RegionKind] = ["mask"] * len(masks)
        regions.append(Regions(masks, tuple(kinds)))
    return regions


def recorded_points(tensors: Mapping[str, Tensor], count: int) -> list[Tensor] | None:
    """The points that the published code drew in the regions of each image; None where it drew none."""
    points = [tensors[key] for b in range(count) if (key := f"region_sample_points_yx_{b}") in tensors]
    return points if len(points) == count else None


def recorded_logits(tensors: Mapping[str, Tensor], kind: ConditionKind, prefix: str, count: int) -> Tensor | None:
    """The condition logits (B, Q, K) of a batch of `count` images, padded with zeros; None where not recorded."""
    if kind != "regions":
        return tensors.get(f"{prefix}pred_{COLUMN[kind]}_logits")
    rows = [tensors[key] for b in range(count) if (key := f"{prefix}pred_region_logits_{b}") in tensors]
    # Regions are recorded the other way round, (R, Q) for each image.
    return pad_sequence(rows, batch_first=True).transpose(1, 2) if len(rows) == count else None


def recorded_layers(tensors: Mapping[str, Tensor]) -> int | None:
    """How many layers were recorded, the final one included; None where only that one was."""
    numbers = [int(match[1]) for key in tensors if (match := re.match(r"aux(\d+)_pred", key))]
    return max(numbers) + 2 if numbers else None
