"""Fine-tuning learns from verified images only, measures on others, and leaves the old model alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from psalm.checkpoint import load_model, save_model
from psalm.cli.main import app
from psalm.conditions import Task
from psalm.errors import AnnotationError, OutputError
from psalm.finetuning import FinetuneOptions, finetune
from psalm.modeling.psalm import PSALM
from psalm.store import AnnotationStore, ImageState, NewObject
from psalm.training.finetune_plan import plan_finetuning
from psalm.training.verified import export_verified
from tests.psalm.modeling.builders import two_way_config

WORDS = ["[UNK]", "[SEG]", "leaf", "stone", "background"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Five verified images, one of them empty, and one that nobody looked at."""
    folder, root = tmp_path / "dataset", tmp_path / "images"
    root.mkdir()
    with AnnotationStore.create(folder, root) as store:
        leaf, stone = store.ensure_category("leaf"), store.ensure_category("stone")
        for number in range(6):
            mask = np.zeros((48, 64), bool)
            mask[8:32, 4 * number : 4 * number + 24] = True
            pixels = np.full((48, 64, 3), 40, np.uint8)
            pixels[mask] = (20, 200, 30)
            Image.fromarray(pixels).save(root / f"{number}.png")
            image = store.ensure_image(f"{number}.png", 0, 48, 64)
            if number != 4:
                store.add_objects(image.id, [NewObject((leaf if number % 2 else stone).id, mask)])
            if number != 5:
                store.set_state(image.id, ImageState.VERIFIED)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    words = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    info = {"name": "old", "names": ["stone"], "thresholds": {"score": 0.4}}
    save_model(tmp_path / "old", PSALM(two_way_config()), PreTrainedTokenizerFast(tokenizer_object=words), info)
    return tmp_path / "old"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_verified_images_with_objects_are_split_alike_every_time(dataset: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    images = export_verified(dataset, tmp_path / "a", held_out=0.25)
    assert (images.trained, images.held_out, images.objects, images.left_out) == (3, 1, 4, 1)
    assert images.names == ("leaf", "stone") and images.images == tmp_path / "images"
    content = json.loads(images.annotations.read_text())
    assert {image["file_name"] for image in content["images"]} == {f"{number}.png" for number in range(4)}
    again = export_verified(dataset, tmp_path / "b", held_out=0.25)
    assert again.annotations.read_text() == images.annotations.read_text()


def test_too_few_verified_images_are_refused(dataset: Path, tmp_path: Path) -> None:
    with AnnotationStore.open(dataset) as store:
        for image in list(store.images())[1:]:
            store.set_state(image.id, ImageState.IN_REVIEW)
    with pytest.raises(AnnotationError, match="verify at least 2"):
        finetune(dataset, tmp_path / "new", "psalm-tiny", progress=False)


def test_a_new_model_with_figures_beside_the_old_one(dataset: Path, model: Path, tmp_path: Path) -> None:
    before = files(model)
    options = FinetuneOptions(held_out=0.25, steps=2, lora=2, freeze=("mask_generator.seed_head.*.bias",), device="cpu")
    result = finetune(dataset, tmp_path / "new", str(model), options, progress=False)
    assert files(model) == before
    assert set(result.before) == set(result.after) >= {"instance ap", "interactive box mean_iou"}
    report = json.loads((tmp_path / "new/figures.json").read_text())
    assert report["before"] == result.before and report["after"] == result.after
    made = load_model(result.model, device="cpu")
    assert made.info["names"] == ["leaf", "stone"] and made.info["thresholds"] == {"score": 0.4}
    assert made.info["finetuned_from"] == "old"
    with AnnotationStore.open(dataset, read_only=True) as store:
        assert store.counts()[ImageState.VERIFIED] == 5


def test_better_outlines_leave_what_names_are_learnt_from(dataset: Path, model: Path, tmp_path: Path) -> None:
    options = FinetuneOptions(held_out=0.25, steps=2, patience=0, device="cpu")
    new = finetune(dataset, tmp_path / "new", str(model), options, progress=False).model
    decoders = [load_model(folder, device="cpu").model.mask_generator.decoder for folder in (model, new)]
    dim = decoders[0].mask_tokens.weight.shape[1]
    image, prompts = torch.rand(1, dim, 6, 6), torch.rand(2, 1, dim)
    (masks, _, states), (new_masks, _, new_states) = (decoder(image, image, prompts) for decoder in decoders)
    assert torch.equal(states, new_states) and not torch.equal(masks, new_masks)


def test_each_part_is_judged_by_what_it_can_better(dataset: Path, tmp_path: Path) -> None:
    images = export_verified(dataset, tmp_path)
    plan = plan_finetuning("model", two_way_config(), images, tmp_path / "new", FinetuneOptions())
    assert all(stage.patience for stage in plan.stages)
    assert {stage.name: stage.judged_by for stage in plan.stages} == {
        "masks": (Task.INTERACTIVE,), "seeds": (Task.INSTANCE,), "names": (Task.INSTANCE,),
    }  # fmt: skip
    assert plan.validation.in_turn and plan.validation.samples >= 2 * images.held_out


def test_another_folder_is_not_overwritten(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "images/keep.txt").touch()
    with pytest.raises(OutputError, match="something else"):
        finetune(dataset, tmp_path / "images", progress=False)


def test_the_published_model_learns_with_additions(dataset: Path, tmp_path: Path) -> None:
    from psalm.config import PSALMConfig

    images = export_verified(dataset, tmp_path)
    plan = plan_finetuning(
        "psalm-1.3b", PSALMConfig(), images, tmp_path / "new", FinetuneOptions(freeze=("projector",))
    )
    stage = plan.stages[0]
    assert stage.lora and stage.lora.rank == 16 and stage.checkpointing and stage.freeze == ("projector",)
    assert not any(part in stage.train for part in ("backbone", "*"))


@pytest.mark.parametrize("backbone", ["", "tf_efficientnet_lite0"])
def test_the_head_on_what_a_semantic_backbone_sees_learns_names(dataset: Path, tmp_path: Path, backbone: str) -> None:
    config = two_way_config(semantic_backbone=backbone)
    plan = plan_finetuning("model", config, export_verified(dataset, tmp_path), tmp_path / "new", FinetuneOptions())
    assert ("mask_generator.look" in plan.stages[-1].train) == bool(backbone)


def test_the_command_shows_both_figures(dataset: Path, model: Path, tmp_path: Path) -> None:
    arguments: list[Any] = ["finetune", dataset, "--out", tmp_path / "new", "--model", model, "--steps", 1]
    done = CliRunner().invoke(app, [str(argument) for argument in [*arguments, "--device", "cpu", "--patience", 0]])
    assert done.exit_code == 0, done.output
    assert "before" in done.output and "interactive box" in done.output and "held out" in done.output
