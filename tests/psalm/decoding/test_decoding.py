"""Decoding against the published results, and on proposals made by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from psalm.conditions import CategoryCondition, SentenceCondition, Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds, decode, prompt_texts
from psalm.decoding.query_masks import QueryMasks
from psalm.errors import CheckpointError, ConditionError
from psalm.image_transform import Frame
from psalm.proposals import MaskProposals


class Recorded:
    """A recorded case: proposals, frames, and the published results."""

    def __init__(self, golden: Any, name: str) -> None:
        from safetensors.torch import load_file

        self.facts = json.loads(golden("cases.json").read_text())[name]
        self.tensors = load_file(golden(f"cases/{name}.safetensors"))
        self.frames = [
            Frame((info["height"], info["width"]), (info["unpadded_h"], info["unpadded_w"]), 192)
            for info in self.facts["seg_info"]
        ]

    def condition(self) -> CategoryCondition:
        return CategoryCondition(self.facts["class_names"][:-1], self.facts.get("is_thing_list", ()))

    def proposals(self, logits: torch.Tensor) -> MaskProposals:
        return MaskProposals(self.tensors["pred_masks"], logits, (logits.shape[-1],) * len(logits))

    def masks(self, key: str) -> np.ndarray:
        return np.unpackbits(self.tensors[key].numpy(), axis=-1)[..., : self.frames[0].original[1]].astype(bool)


@pytest.mark.parametrize("name", ["a_instance_3cls", "b_instance_7cls_portrait", "a_panoptic_3cls"])
def test_instances_equal_the_published_ones(golden, name):
    case = Recorded(golden, name)
    condition = case.condition()
    proposals = case.proposals(case.tensors["pred_class_name_logits"])
    found = decode(proposals, Task.INSTANCE, [condition], case.frames, Thresholds(score=0))[0]
    found = found.select(np.array([condition.is_thing[i - 1] for i in found.category_ids]))
    masks, scores = case.masks("post_inst_masks_packed"), case.tensors["post_inst_scores"].numpy()
    order = [i for i in np.argsort(-scores) if masks[i].any()]
    assert len(found) == len(order) > 0
    assert np.allclose(found.scores, scores[order], atol=1e-5)
    assert np.array_equal(found.category_ids - 1, case.tensors["post_inst_classes"].numpy()[order])
    assert np.array_equal(found.masks, masks[order])


@pytest.mark.parametrize("name", ["a_panoptic_3cls", "b2_panoptic_7cls_allstuff"])
def test_panoptic_equals_the_published_one(golden, name):
    case = Recorded(golden, name)
    proposals = case.proposals(case.tensors["pred_class_name_logits"])
    found = decode(proposals, Task.PANOPTIC, [case.condition()], case.frames, PSALMConfig())[0]
    expected = case.tensors["post_panoptic_seg"].numpy()
    segments = (found.masks * np.arange(1, len(found) + 1)[:, None, None]).sum(axis=0)
    assert np.array_equal(segments, expected)
    assert [i - 1 for i in found.category_ids] == [info["category_id"] for info in case.facts["segments_info"]]


def test_semantic_equals_the_published_one(golden):
    case = Recorded(golden, "a_semantic_3cls")
    proposals = case.proposals(case.tensors["pred_class_name_logits"])
    found = decode(proposals, Task.SEMANTIC, [case.condition()], case.frames, Thresholds())[0]
    winner = (found.masks * found.category_ids[:, None, None]).sum(axis=0)
    assert np.array_equal(winner - 1, case.tensors["post_sem_seg"].numpy().argmax(axis=0))


@pytest.mark.parametrize("name", ["c_referring_short", "k_batch_referring"])
def test_referring_equals_the_published_one(golden, name):
    case = Recorded(golden, name)
    proposals = case.proposals(case.tensors["pred_SEG_logits"])
    conditions = [SentenceCondition("left dog")] * len(case.frames)
    results = decode(proposals, Task.REFERRING, conditions, case.frames, Thresholds())
    assert [result.size for result in results] == [frame.original for frame in case.frames]
    assert np.array_equal(results[0].masks[0], case.masks("chosen_mask_packed"))
    assert results[0].scores[0] == pytest.approx(float(case.tensors["post_inst_scores"].max()), abs=1e-5)
    limits = Thresholds(score=0.6)
    general = decode(proposals, Task.GENERALISED_REFERRING, conditions, case.frames, limits)[0]
    assert np.array_equal(general.masks[0], case.masks("grefcoco_fused_mask_packed"))


@pytest.mark.parametrize(
    "name",
    ["e_interactive_point", "f_interactive_scribble", "g_interactive_box", "h_interactive_mask", "l_video_step1"],
)
def test_interactive_equals_the_published_one(golden, name):
    case = Recorded(golden, name)
    logits = case.tensors["pred_region_logits_0"].T[None]
    condition = VisualPriorCondition(np.ones((logits.shape[-1], *case.frames[0].original), bool))
    found = decode(case.proposals(logits), Task.INTERACTIVE, [condition], case.frames, Thresholds())[0]
    assert np.array_equal(found.masks, case.masks("chosen_masks_packed"))
    assert np.allclose(found.scores, case.tensors["post_inst_scores"].numpy().max(axis=0), atol=1e-5)


# By hand: a 16 x 16 model image, logits at a quarter of it; the image is 8 x 16 (upper half), shown at 4 x 8.
FRAME = Frame((4, 8), (8, 16), 16)


def quarter(*columns: int) -> torch.Tensor:
    """Mask logits that are positive on some of the four columns of the coarse map."""
    logits = torch.full((4, 4), -20.0)
    logits[:, list(columns)] = 20.0
    return logits


def made(
    masks: list[torch.Tensor], logits: list[list[float]], quality: list[float] | None = None, frame: Frame = FRAME
) -> tuple[MaskProposals, list[Frame]]:
    conditions = torch.tensor(logits)[None]
    estimate = None if quality is None else torch.tensor(quality)[None]
    return MaskProposals(torch.stack(masks)[None], conditions, (conditions.shape[-1],), estimate), [frame]


def test_scores_use_the_quality_where_there_is_one():
    sure = [10.0, -10.0]
    for quality, expected in (([0.7, 0.9], [0.9, 0.7]), (None, [1.0, 1.0])):
        proposals, frames = made([quarter(0), quarter(2, 3)], [sure, sure], quality)
        found = decode(proposals, "instance", [CategoryCondition(["cell"])], frames, Thresholds())[0]
        assert np.allclose(found.scores, expected, atol=0.02)
    assert found.prompts == ("cell", "cell") and found.categories[0].id == 1


def test_instances_below_the_threshold_and_small_and_empty_ones_are_dropped():
    masks = [quarter(0), quarter(1), quarter()]
    proposals, frames = made(masks, [[10.0, -10.0], [0.0, 2.0], [10.0, -10.0]])
    condition = CategoryCondition(["cell"])
    assert len(decode(proposals, "instance", [condition], frames, Thresholds(score=0.5))[0]) == 1
    assert len(decode(proposals, "instance", [condition], frames, Thresholds(score=0.0))[0]) == 2
    assert len(decode(proposals, "instance", [condition], frames, Thresholds(min_area=100))[0]) == 0
    assert len(decode(proposals, "instance", [condition], frames, Thresholds(score=0.0, top_k=1))[0]) == 1


def test_overlapping_instances_are_suppressed_on_request():
    proposals, frames = made([quarter(0, 1), quarter(0, 1), quarter(3)], [[10.0, 0, 0], [0, 9.0, 0], [8.0, 0, 0]])
    condition = CategoryCondition(["cell", "coin"])
    assert len(decode(proposals, "instance", [condition], frames, Thresholds())[0]) == 3
    kept = decode(proposals, "instance", [condition], frames, Thresholds(nms_iou=0.7))[0]
    assert kept.names == ("cell", "cell") and not (kept.masks[0] & kept.masks[1]).any()


def test_semantic_may_leave_pixels_unlabelled():
    proposals, frames = made([quarter(0, 1)], [[10.0, -10.0]])
    condition = CategoryCondition(["cell"])
    everything = decode(proposals, "semantic", [condition], frames, Thresholds())[0]
    assert everything.masks.all()
    some = decode(proposals, "semantic", [condition], frames, Thresholds(semantic_score=0.5))[0]
    assert some.masks[0, :, :3].all() and not some.masks[0, :, 5:].any()
    nothing = decode(proposals, "semantic", [condition], frames, Thresholds(semantic_score=1.5))[0]
    assert len(nothing) == 0 and nothing.size == (4, 8)


def test_panoptic_stuff_is_merged_and_covered_segments_go():
    masks = [quarter(0), quarter(1), quarter(0, 1, 2, 3)]
    sky, cell = [9.0, 0.0, 0.0], [0.0, 10.0, 0.0]
    condition = CategoryCondition(["sky", "cell"], [False, True])
    proposals, frames = made(masks[:2], [sky, sky])
    assert decode(proposals, "panoptic", [condition], frames, Thresholds())[0].names == ("sky",)
    proposals, frames = made(masks, [[20.0, 0, 0], [20.0, 0, 0], cell])
    found = decode(proposals, "panoptic", [condition], frames, Thresholds())[0]
    assert found.names == ("sky",)  # half of the cell is hidden
    found = decode(proposals, "panoptic", [condition], frames, Thresholds(panoptic_overlap=0.4))[0]
    assert found.names == ("sky", "cell") and found.masks.sum(axis=0).max() == 1


def test_regions_get_their_own_masks_in_order_and_words():
    proposals, frames = made([quarter(0), quarter(3)], [[-5.0, -1.0], [-3.0, -9.0]])
    condition = VisualPriorCondition(np.ones((2, 4, 8), bool), ("point", "box"))
    found = decode(proposals, "interactive", [condition], frames, Thresholds())[0]
    assert found.prompts == prompt_texts(condition) == ("point 1", "box 2")
    assert found.masks[0, 0, 7] and found.masks[1, 0, 0]  # however low the scores
    assert found.categories[0].name == "object"


def test_empty_masks_never_win():
    condition = SentenceCondition("the cell")
    proposals, frames = made([quarter(), quarter(1)], [[9.0], [-4.0]], [0.99, 0.5])
    found = decode(proposals, "referring", [condition], frames, Thresholds())[0]
    assert found.masks[0].any() and found.names == found.prompts == ("the cell",)
    proposals, frames = made([quarter()], [[9.0]])
    assert len(decode(proposals, "referring", [condition], frames, Thresholds())[0]) == 0


def test_a_sentence_gets_the_mask_of_the_highest_logit_where_masks_are_judged():
    masks, logits = torch.stack([quarter(0), quarter(1), torch.full_like(quarter(0), -9.0)]), [[12.0], [9.0], [15.0]]
    judged = MaskProposals(masks[None], torch.tensor([logits]), (1,), torch.tensor([[0.8, 0.95, 1.0]]))
    found = decode(judged, "referring", [SentenceCondition("it")], [FRAME], Thresholds())[0]
    assert (found.masks[0] == (QueryMasks(masks, FRAME).mask(0).numpy())).all()
    assert found.scores[0] == pytest.approx(0.8, abs=1e-3)


def test_generalised_referring_unites_or_takes_the_best():
    condition = SentenceCondition("all the cells")
    proposals, frames = made([quarter(0), quarter(3), quarter(1)], [[5.0], [4.0], [-5.0]])
    found = decode(proposals, "generalised-referring", [condition], frames, Thresholds(score=0.6))[0]
    assert len(found) == 1 and found.masks[0, 0, 0] and found.masks[0, 0, 7] and not found.masks[0, 0, 3]
    proposals, frames = made([quarter(0), quarter(3)], [[-5.0], [-4.0]])
    found = decode(proposals, "generalised-referring", [condition], frames, Thresholds(score=0.6))[0]
    assert not found.masks[0, 0, 0] and found.masks[0, 0, 7]


@pytest.mark.parametrize("with_quality", [False, True])
def test_the_short_search_finds_what_the_full_search_finds(with_quality):
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        logits = torch.randn(30, 6, 6, generator=generator) * 4
        quality = torch.rand(30, generator=generator) if with_quality else None
        relevance = torch.rand(30, generator=generator)
        scores = [float(relevance[q]) * QueryMasks(logits, FRAME, quality).score(q) for q in range(30)]
        looked = QueryMasks(logits, FRAME, quality)
        assert looked.best(relevance) == (int(np.argmax(scores)), max(scores))
        assert len(looked._looked) < 30


def test_padded_batches_are_decoded_image_by_image():
    conditions = [CategoryCondition(["cell"]), CategoryCondition(["cell", "coin"])]
    logits = torch.zeros(2, 1, 3)
    logits[0, 0] = torch.tensor([9.0, 0.0, 99.0])  # the last column is padding
    logits[1, 0] = torch.tensor([0.0, 9.0, 0.0])
    proposals = MaskProposals(torch.stack([quarter(0)[None], quarter(1)[None]]), logits, (2, 3))
    found = decode(proposals, "instance", conditions, [FRAME, Frame((16, 16), (16, 16), 16)], Thresholds())
    assert [f.names for f in found] == [("cell",), ("coin",)]
    assert [f.size for f in found] == [(4, 8), (16, 16)]


def test_what_does_not_fit_is_refused():
    proposals, frames = made([quarter(0)], [[1.0, 2.0]])
    with pytest.raises(ConditionError, match="answer 2 conditions"):
        decode(proposals, "instance", [CategoryCondition(["a", "b"])], frames, Thresholds())
    with pytest.raises(ConditionError, match="one of each per image"):
        decode(proposals, "instance", [], frames, Thresholds())
    with pytest.raises(ConditionError, match="needs a"):
        decode(proposals, "referring", [CategoryCondition(["a"])], frames, Thresholds())


def test_thresholds_come_from_the_config():
    config = PSALMConfig.small(score_threshold=0.3, panoptic_score_threshold=0.4, panoptic_overlap_threshold=0.6)
    assert Thresholds.from_config(config) == Thresholds(0.3, 0.4, 0.6)


def test_half_precision_proposals_are_decoded():
    proposals, frames = made([quarter(0)], [[9.0, 0.0]], [0.8])
    half = MaskProposals(
        proposals.mask_logits.bfloat16(), proposals.condition_logits.bfloat16(), (2,), proposals.quality.bfloat16()
    )
    assert len(decode(half, "instance", [CategoryCondition(["a"])], frames, Thresholds())[0]) == 1


def test_thresholds_stored_with_the_weights_go_before_the_config() -> None:
    config = PSALMConfig.small(score_threshold=0.4)
    assert Thresholds.from_config(config).score == 0.4
    assert Thresholds.from_config(config, {"score": 0.2, "nms_iou": 0.7}) == Thresholds(score=0.2, nms_iou=0.7)
    with pytest.raises(CheckpointError, match="scores"):
        Thresholds.from_config(config, {"scores": 0.2})


def test_a_part_of_a_better_object_of_its_category_is_dropped() -> None:
    from pycocotools import mask as coco_mask

    from psalm.decoding.instance import suppress_parts

    whole, part, beside = np.zeros((3, 10, 10), dtype=bool)
    whole[:8], part[2:4, 2:4], beside[7:9] = True, True, True
    whole, part, beside = (coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in (whole, part, beside))
    assert suppress_parts([whole, part, part, beside], [0, 0, 1, 0], 0.9) == [0, 2, 3]
    assert suppress_parts([part, whole], [0, 0], 0.9) == [0, 1]


def test_neighbours_that_are_also_seen_as_one_are_no_further_object() -> None:
    from pycocotools import mask as coco_mask

    from psalm.decoding.instance import suppress_groups

    left, right, both, far = np.zeros((4, 10, 20), dtype=bool)
    left[2:6, 2:8], right[2:6, 9:15], both[2:6, 2:15], far[8:] = True, True, True, True
    left, right, both, far = (
        coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in (left, right, both, far)
    )
    assert suppress_groups([left, right, both, far], [0, 0, 0, 0], 0.9) == [0, 1, 3]
    assert suppress_groups([left, right, both], [0, 1, 0], 0.9) == [0, 1, 2]  # one better one of its category
    assert suppress_groups([both, left, right], [0, 0, 0], 0.9) == [0, 1, 2]  # the group is the best
