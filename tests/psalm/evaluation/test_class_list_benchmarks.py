"""PQ, mIoU and AP on published layouts: equal to independent implementations, and to values worked by hand."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
import torch

from psalm.data.ade20k import Ade20k
from psalm.data.cityscapes import Cityscapes
from psalm.data.coco_folder import CocoInstances, CocoPanoptic, CocoSemantic
from psalm.data.lvis import Lvis
from psalm.evaluation.class_list_benchmarks import InstanceBenchmark, PanopticBenchmark, SemanticBenchmark
from psalm.evaluation.engine import run_benchmark
from tests.psalm.data.published_layouts import (
    CAT,
    DOG,
    HERD,
    SIZE,
    SKY,
    annotation,
    box,
    coco_image,
    label_map,
    make_ade20k,
    make_cityscapes,
    make_coco,
    make_lvis,
    photograph,
    write_json,
)
from tests.psalm.evaluation.answering import named

RNG = np.random.default_rng(5)


def run(benchmark, predictor):
    result = run_benchmark(benchmark, predictor)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    return result


def random_panoptic(root, count=3, blocks=6):
    """Images cut into blocks of random classes, without void and without crowds, and answers near the truth."""
    categories = [{"id": i + 1, "name": f"class {i}", "isthing": int(i < 2)} for i in range(4)]
    images, listed, answers = [coco_image(n) for n in range(1, count + 1)], [], {}
    for image in images:
        photograph(root / "val2017" / image["file_name"], image["id"])
        truth, infos = segments(blocks, RNG.integers(0, 4, blocks * blocks))
        colours = np.stack([truth % 256, truth // 256, np.zeros_like(truth)], axis=-1)
        name = f"{image['id']:012d}.png"
        label_map(root / "panoptic_val2017" / name, colours)
        listed.append({"image_id": image["id"], "file_name": name, "segments_info": infos})
        changed = [info["category_id"] - 1 if RNG.random() < 0.7 else int(RNG.integers(0, 4)) for info in infos]
        # Without overlaps, which may be resolved in several ways, and without gaps, which torchmetrics forgives.
        painted = np.ones(SIZE, int)
        for number, info in enumerate(infos, start=1):
            painted[np.roll(truth == info["id"], RNG.integers(-1, 2), axis=1)] = number
        answers[image["id"]] = [
            (f"class {label}", painted == number, float(RNG.random()))
            for number, label in enumerate(changed, start=1)
            if (painted == number).any()
        ]
    content = {"images": images, "categories": categories, "annotations": listed}
    write_json(root / "annotations/panoptic_val2017.json", content)
    return answers


def segments(blocks, labels):
    """A segment per block of a thing, and one per stuff class."""
    numbers = np.kron(np.arange(blocks * blocks).reshape(blocks, blocks), np.ones((10, 14), int))[: SIZE[0], : SIZE[1]]
    numbers = np.pad(numbers, ((0, SIZE[0] - numbers.shape[0]), (0, max(SIZE[1] - numbers.shape[1], 0))), mode="edge")
    truth = np.zeros(SIZE, int)
    for block, label in enumerate(labels):
        truth[numbers == block] = block + 1 if label < 2 else 100 + label
    infos = {int(n): int(labels[n - 1]) if n < 100 else int(n) - 100 for n in np.unique(truth)}
    return truth, [{"id": n, "category_id": label + 1, "iscrowd": 0} for n, label in infos.items()]


def test_panoptic_quality_equals_torchmetrics(tmp_path):
    from torchmetrics.detection import PanopticQuality

    answers = random_panoptic(tmp_path)
    reader = CocoPanoptic(tmp_path, "val")
    result = run(PanopticBenchmark("coco-panoptic", "val", reader), named(answers))
    metric = PanopticQuality(things={0, 1}, stuffs={2, 3}, return_sq_and_rq=True, return_per_class=True,
                             allow_unknown_preds_category=True)  # fmt: skip
    for index in range(len(reader)):
        truth = reader.objects(index)
        true, predicted = np.zeros((*SIZE, 2), int), np.full((*SIZE, 2), [99, 0])
        for number, (mask, label) in enumerate(zip(truth.masks, truth.labels, strict=True)):
            true[mask] = label, number
        for number, (name, mask, _) in enumerate(sorted(answers[index + 1], key=lambda each: each[2])):
            label = reader.names.index(name)
            predicted[mask] = label, number if label < 2 else 0
        metric.update(torch.tensor(predicted)[None], torch.tensor(true)[None])
    expected = metric.compute().numpy().reshape(4, 3)
    ours = np.array([[result["per_category"][name][key] for key in ("pq", "sq", "rq")] for name in reader.names])
    assert 0.1 < ours[:, 0].mean() < 0.95
    assert ours == pytest.approx(expected, abs=1e-6)
    overall = result["overall"]
    assert [overall["pq"], overall["sq"], overall["rq"]] == pytest.approx(expected.mean(axis=0), abs=1e-6)
    assert overall["pq_things"] == pytest.approx(expected[:2, 0].mean(), abs=1e-6)
    assert overall["rq_stuff"] == pytest.approx(expected[2:, 2].mean(), abs=1e-6)


def test_panoptic_by_hand(tmp_path):
    reader = CocoPanoptic(make_coco(tmp_path), "val")
    sky = SKY.copy()
    sky[:, 60:] = False  # 3/4 of the sky
    mine = [("cat", CAT, 0.9), ("dog", box(52, 2, 58, 18), 0.8), ("sky-other-merged", sky, 0.7)]
    result = run(PanopticBenchmark("coco-panoptic", "val", reader), named({1: mine, 2: [("cat", DOG, 0.9)]}))
    # image 1: cat exact, sky IoU 3/4, dog missed, the answer in the crowd of dogs is ignored
    # image 2: cat missed, a cat where the dog is, dog and sky missed
    assert result["per_category"]["cat"] == {"pq": 1 / (1 + 0.5 + 0.5), "sq": 1, "rq": 0.5}
    assert result["per_category"]["dog"] == {"pq": 0, "sq": 0, "rq": 0}
    assert result["per_category"]["sky-other-merged"]["pq"] == pytest.approx(0.75 / 1.5)
    assert result["overall"]["sq_stuff"] == pytest.approx(0.75) and result["overall"]["categories"] == 3


def test_parts_of_stuff_are_one_segment(tmp_path):
    reader = CocoPanoptic(make_coco(tmp_path), "val")
    halves = [("sky-other-merged", box(0, 0, 8, 40), 0.9), ("sky-other-merged", box(0, 40, 8, 80), 0.6)]
    result = run(PanopticBenchmark("coco-panoptic", "val", reader), named({1: halves, 2: halves}))
    assert result["per_category"]["sky-other-merged"]["pq"] == 1


def test_mean_iou_equals_torchmetrics(tmp_path):
    from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

    answers = random_panoptic(tmp_path)
    reader = CocoSemantic(tmp_path, "val")
    result = run(SemanticBenchmark("coco-semantic", "val", reader), named(answers))
    options = {"num_classes": 5, "ignore_index": None, "validate_args": False}
    iou, accuracy = MulticlassJaccardIndex(average="none", **options), MulticlassAccuracy(average="none", **options)
    for index in range(len(reader)):
        truth, true, predicted = reader.objects(index), np.zeros(SIZE, int), np.full(SIZE, 4)
        for mask, label in zip(truth.masks, truth.labels, strict=True):
            true[mask] = label
        for name, mask, _ in sorted(answers[index + 1], key=lambda each: each[2]):
            predicted[mask] = reader.names.index(name)
        iou.update(torch.tensor(predicted), torch.tensor(true))
        accuracy.update(torch.tensor(predicted), torch.tensor(true))
    expected = iou.compute().numpy()[:4]
    assert [each["iou"] for each in result["per_category"].values()] == pytest.approx(expected, abs=1e-6)
    assert result["overall"]["miou"] == pytest.approx(expected.mean(), abs=1e-6)
    assert result["overall"]["mean_accuracy"] == pytest.approx(accuracy.compute().numpy()[:4].mean(), abs=1e-6)


def test_unlabelled_pixels_do_not_count(tmp_path):
    reader = Ade20k(make_ade20k(tmp_path), "val")
    everything = [("wall", np.ones(SIZE, bool), 0.2), ("building, edifice", DOG, 0.9)]
    result = run(SemanticBenchmark("ade20k", "val", reader), named({100: everything}))
    assert result["overall"]["miou"] == 1 and result["overall"]["pixel_accuracy"] == 1
    result = run(SemanticBenchmark("ade20k", "val", reader), named({100: everything[:1]}))
    wall = SKY.sum() / (SKY.sum() + DOG.sum())
    assert result["per_category"] == {"wall": {"iou": pytest.approx(wall)}, "building": {"iou": 0}}
    assert result["overall"]["frequency_weighted_iou"] == pytest.approx(wall * wall)


def test_things_that_nobody_told_apart_are_of_their_class(tmp_path):
    reader = Cityscapes(make_cityscapes(tmp_path), "val")
    result = run(SemanticBenchmark("cityscapes-semantic", "val", reader), named({100: [("car", CAT | HERD, 0.9)]}))
    assert result["per_category"]["car"]["iou"] == pytest.approx((400 + 160) / (400 + 600 + 160))


@pytest.mark.parametrize("synonyms", ["joined", "first", "each"])
def test_synonyms_are_asked_as_chosen(tmp_path, synonyms):
    reader = Ade20k(make_ade20k(tmp_path), "val")
    spoken = {"joined": "building, edifice", "first": "building", "each": "edifice"}[synonyms]
    predictor = named({100: [("wall", SKY, 0.9), (spoken, DOG, 0.9)]})
    result = run(SemanticBenchmark("ade20k", "val", reader, synonyms=synonyms), predictor)
    assert result["overall"]["miou"] == 1
    asked = predictor.asked[0][1].names
    assert asked == {"joined": ("wall", "building, edifice"), "first": ("wall", "building")}.get(
        synonyms, ("wall", "building", "edifice")
    )
    assert any("synonym" in note.lower() for note in result["notes"])


def test_a_class_list_in_parts(tmp_path):
    reader = CocoPanoptic(make_coco(tmp_path), "val")
    mine = [("cat", CAT, 0.9), ("dog", DOG, 0.8), ("sky-other-merged", SKY, 0.7)]
    predictor = named({1: mine, 2: mine})
    result = run(PanopticBenchmark("coco-panoptic", "val", reader, at_once=2), predictor)
    assert result["overall"]["pq"] == 1 and len(predictor.asked) == 4
    assert [condition.names for _, condition, _, _ in predictor.asked[:2]] == [("cat", "dog"), ("sky-other-merged",)]
    assert any("in 2 parts" in note for note in result["notes"])


def test_average_precision_equals_pycocotools_on_the_published_file(tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from psalm.coco.rle import encode_mask

    images = [coco_image(n) for n in range(1, 6)]
    annotations, answers, results = [], {}, []
    for image in images:
        photograph(tmp_path / "val2017" / image["file_name"], image["id"])
        found = []
        for _ in range(8):
            side = int(RNG.choice([6, 20, 40]))
            row, column = int(RNG.integers(0, SIZE[0] - side)), int(RNG.integers(0, SIZE[1] - side))
            mask, label = box(row, column, row + side, column + side), int(RNG.integers(1, 4))
            crowd = int(RNG.random() < 0.15)
            annotations.append(annotation(len(annotations) + 1, image["id"], label, mask, crowd))
            moved = np.roll(mask, RNG.integers(-3, 4, 2), (0, 1))
            found.append((f"class {label if RNG.random() < 0.8 else 1}", moved, float(RNG.random())))
        answers[image["id"]] = found
        results += [
            {"image_id": image["id"], "category_id": int(name[-1]), "segmentation": encode_mask(mask), "score": score}
            for name, mask, score in found
        ]
    categories = [{"id": i, "name": f"class {i}"} for i in (1, 2, 3)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = tmp_path / "annotations/instances_val2017.json"
    write_json(path, content)
    overall = run(InstanceBenchmark("coco-instance", "val", CocoInstances(tmp_path, "val")), named(answers))["overall"]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
        official = COCOeval(coco, coco.loadRes(results), "segm")
        official.evaluate(), official.accumulate(), official.summarize()
    keys = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    expected = [None if value == -1 else pytest.approx(value) for value in official.stats[:6]]
    assert 0.05 < overall["ap"] < 0.95
    assert [overall[key] for key in keys] == expected
    assert overall["objects"] == sum(not each["iscrowd"] for each in annotations)


def test_lvis_judges_only_what_was_looked_for(tmp_path):
    reader = Lvis(make_lvis(tmp_path), "val")
    right = {1: [("cat", CAT, 0.9)], 2: [("dog", DOG, 0.9)]}
    benchmark = InstanceBenchmark("lvis", "val", reader, synonyms="first")
    assert run(benchmark, named(right))["overall"]["ap"] == pytest.approx(1)
    # Nobody looked for a kayak, and in image 2 not every dog is labelled: neither counts.
    open_ended = {1: [*right[1], ("kayak", SKY, 0.95)], 2: [("dog", CAT, 0.95), *right[2]]}
    result = run(benchmark, named(open_ended))
    assert result["overall"]["ap"] == pytest.approx(1) == result["per_category"]["dog"]["ap"]
    # A second cat in image 1 is wrong: cats were looked for, and all are labelled. Half the precision at every recall.
    wrong = {1: [("cat", DOG, 0.95), *right[1]], 2: right[2]}
    result = run(benchmark, named(wrong))
    assert result["per_category"]["cat"]["ap"] == pytest.approx(0.5)
    assert result["overall"]["ap_frequent"] == pytest.approx(0.5)
    assert result["overall"]["ap_common"] == pytest.approx(1)
    assert result["overall"]["ap_rare"] is None


def test_images_are_ranked_by_what_a_user_sees(tmp_path):
    reader = CocoInstances(make_coco(tmp_path), "val")
    predictor = named({1: [("cat", CAT, 0.9), ("dog", DOG, 0.2)], 2: [("dog", DOG, 0.9)], 3: [("cat", CAT, 0.1)]})
    benchmark = InstanceBenchmark("coco-instance", "val", reader)
    qualities = [record["quality"] for record in benchmark.ask([0], predictor) + benchmark.ask([1], predictor)]
    assert qualities == [pytest.approx(1 / 1.5), 1] and benchmark.ask([2], predictor)[0]["quality"] is None
