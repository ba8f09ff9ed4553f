"""Kinds of batch that the committed numbers do not show, recorded here from our own model in the published format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from psalm.coco.rle import encode_mask
from psalm.image_transform import ImageTransform
from psalm.modeling.region_sampler import draw_points
from psalm.parity import run_parity
from psalm.parity.golden import GoldenFolder
from psalm.parity.gradients import rename_official
from psalm.parity.recorded_prompts import recorded_prompts, recorded_regions
from psalm.parity.watch import watching
from psalm.prompts import IMAGE, MASK_TOKENS, REGION
from psalm.training.config import CriterionConfig
from psalm.training.criterion import Criterion
from psalm.training.points import PointSampler
from psalm.training.targets import Target

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
SIZES = ((100, 192), (180, 150))
COUNTS = (3, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("tiny_config.json", "tiny_official.safetensors"):
        shutil.copy(GOLDEN / name, tmp_path / name)
    return tmp_path


class Remembered(PointSampler):
    """Keeps the points that were drawn."""

    def __init__(self) -> None:
        super().__init__(112)
        self.matcher: list[Tensor] = []
        self.loss: list[Tensor] = []

    def uniform(self, like: Tensor) -> Tensor:
        self.matcher.append(super().uniform(like))
        return self.matcher[-1]

    def uncertain(self, logits: Tensor) -> Tensor:
        self.loss.append(super().uncertain(logits))
        return self.loss[-1]


def regions_batch() -> tuple[dict[str, Tensor], list[list[np.ndarray]]]:
    """Two images with three regions (a disc, a box and a line) and one."""
    rng = torch.Generator().manual_seed(3)
    tensors = {"images": torch.randn(2, 3, 192, 192, generator=rng)}
    drawn = []
    transform = ImageTransform(GoldenFolder(GOLDEN).config)
    for b, (size, count) in enumerate(zip(SIZES, COUNTS, strict=True)):
        masks = [np.zeros(size, dtype=bool) for _ in range(count)]
        for i, mask in enumerate(masks):
            mask[20 + 10 * i : 50, 20 : 60 + 10 * i] = True
        drawn.append(masks)
        tensors[f"region_masks_{b}"] = transform.masks(np.stack(masks)).to(torch.uint8)
        tensors[f"region_sample_points_yx_{b}"] = draw_points(tensors[f"region_masks_{b}"].bool(), 256)
    rows = [[5, IMAGE, 6, *(REGION, 8) * count, MASK_TOKENS, 9] for count in COUNTS]
    rows = [row + [0] * (len(rows[0]) - len(row)) for row in rows]
    tensors["input_ids"] = torch.tensor(rows)
    tensors["attention_mask"] = tensors["input_ids"] != 0
    return tensors, drawn


def record(folder: Path, tensors: dict[str, Tensor], train: bool) -> tuple[Any, list[Any]]:
    """What the model makes of the batch, under the published names."""
    model = GoldenFolder(folder).model().train(train)
    prompts = recorded_prompts(tensors)
    model.points = [tensors[f"region_sample_points_yx_{b}"] for b in range(2)]
    with watching(model) as seen:
        layers = model.propose(model.encode_image(tensors["images"]), prompts, recorded_regions(tensors, prompts))
    sequence, states = seen["language_model"]
    tensors["inputs_embeds"], tensors["last_hidden_state"] = sequence.embeddings.detach(), states.detach()
    read = torch.arange(states.shape[1]) < torch.tensor(sequence.lengths)[:, None]
    tensors["llm_attention_mask"] = read.to(torch.uint8)
    for i, layer in enumerate(layers):
        prefix = "" if i == len(layers) - 1 else f"aux{i}_"
        tensors[f"{prefix}pred_masks"] = layer.mask_logits.detach()
        for b, count in enumerate(COUNTS):
            tensors[f"{prefix}pred_region_logits_{b}"] = layer.condition_logits[b, :, :count].detach().T.contiguous()
    for b, count in enumerate(COUNTS):
        tensors[f"region_embed_{b}"] = seen["region_projector"][1][b, :count].detach()
        tensors[f"region_feature_{b}"] = model.pooled[b, :count, None].detach()
    return model, layers


def test_a_batch_with_unequal_numbers_of_regions(folder: Path) -> None:
    tensors, drawn = regions_batch()
    record(folder, tensors, train=False)
    transform = ImageTransform(GoldenFolder(folder).config)
    info = []
    for height, width in SIZES:
        rows, columns = transform.frame((height, width)).resized
        info.append({"height": height, "width": width, "unpadded_h": rows, "unpadded_w": columns})
    facts = {"task": "region", "images": ["X", "Y"], "seg_info": info}
    facts["prompt_rle"] = [[encode_mask(mask) for mask in masks] for masks in drawn]
    (folder / "cases.json").write_text(json.dumps({"regions": facts}))
    (folder / "cases").mkdir()
    save_file(tensors, folder / "cases" / "regions.safetensors")
    findings = run_parity(folder)
    assert [finding for finding in findings if not finding.agrees] == []
    assert {"region masks", "region pooling", "conditions, aux3", "condition embeddings"} <= {f.stage for f in findings}

    tensors["pred_region_logits_1"] += 0.1
    save_file(tensors, folder / "cases" / "regions.safetensors")
    assert [finding.stage for finding in run_parity(folder) if not finding.agrees] == ["conditions, final"]


def test_a_training_step_on_regions(folder: Path) -> None:
    tensors, _ = regions_batch()
    model, layers = record(folder, tensors, train=True)
    for b, count in enumerate(COUNTS):
        tensors[f"target_masks_{b}"] = tensors[f"region_masks_{b}"].clone()
        tensors[f"target_labels_{b}"] = torch.full((count,), 7)  # of no use here, as in the published code
    targets = [Target(tensors[f"target_masks_{b}"].bool(), torch.arange(count)) for b, count in enumerate(COUNTS)]
    points = Remembered()
    losses = Criterion(CriterionConfig(num_points=112), points)(layers, targets, "regions")
    losses.total.backward()
    order = ["aux0", "aux1", "aux2", "aux3", "final"]
    weights, unweighted, match = {"loss_class_name_class": 2.0}, {}, {}
    for i, (layer, terms, matches) in enumerate(zip(order, losses.layers, losses.matches, strict=True)):
        suffix = "" if layer == "final" else f"_{layer[3:]}"
        for name, ours, weight in (("mask", "mask", 5.0), ("dice", "dice", 5.0), ("region_class", "condition", 2.0)):
            weights[f"loss_{name}{suffix}"], unweighted[f"loss_{name}{suffix}"] = weight, terms[ours].item()
        match[layer] = [[m.queries.tolist(), m.targets.tolist()] for m in matches]
        tensors[f"loss_points_xy_{layer}"] = points.loss[i].flip(-1).contiguous()
        for b in range(2):
            tensors[f"matcher_points_xy_{layer}_{b}"] = points.matcher[2 * i + b].flip(-1).contiguous()
    summed = {
        f"loss_{name}": sum(weights[key] * value for key, value in unweighted.items() if key.startswith(f"loss_{name}"))
        for name in ("mask", "dice", "region_class")
    }
    facts = {
        "images": ["X", "Y"],
        "loss": losses.total.item(),
        "layer_order": ["final", *order[:-1]],
        "weight_dict": weights,
        "unweighted": unweighted,
        "summed": summed,
        "match": match,
        "grad_norms": norms(model, folder),
    }
    (folder / "train.json").write_text(json.dumps({"train_region": facts}))
    (folder / "train").mkdir()
    save_file(tensors, folder / "train" / "train_region.safetensors")
    findings = run_parity(folder)
    assert [finding for finding in findings if not finding.agrees] == []
    assert {"loss condition, aux0", "matches", "loss"} <= {finding.stage for finding in findings}


def norms(model: Any, folder: Path) -> dict[str, float | None]:
    """Norms of the gradients under the published names."""
    parameters = dict(model.named_parameters())
    result: dict[str, float | None] = {}
    for key in load_file(folder / "tiny_official.safetensors"):
        gradients = [parameters[name].grad for name in rename_official(key) if name in parameters]
        if gradients:
            known = [g.double().square().sum().item() for g in gradients if g is not None]
            result[key] = sum(known) ** 0.5 if known else None
    return result
