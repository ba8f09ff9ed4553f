"""Figures that others have published, each with where it was read; what could not be read is left out, not guessed.

All figures are percentages. PSALM's on RefCOCO, RefCOCO+ and RefCOCOg were measured with all sentences of a reference
in one prompt (zamling/PSALM, issue 31), those of the other models with one sentence at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

EVF_SAM = "Zhang et al., EVF-SAM, arXiv 2406.20076, table 1"
SEG_AGENT = "Zhu et al., SegAgent, arXiv 2503.08625, results on RefCOCO, RefCOCO+ and RefCOCOg"
GSVA = "README of LeapLabTHU/GSVA, which reproduces table 1 of Xia et al., GSVA, CVPR 2024"
GROUND_V = "Ground-V, arXiv 2505.13788, results on gRefCOCO, as a note on the paper quotes them"
HIMTOK = "HiMTok, arXiv 2503.13026, open-vocabulary results, as a note on the paper quotes them"
MODEL_ZOO = "MODEL_ZOO.md of facebookresearch/Mask2Former"


@dataclass(frozen=True)
class PublishedResult:
    """What a model reached on a benchmark.

    Parameters
    ----------
    model : str
    benchmark, split : str
    figures : dict
        Percentages by the name that the figure has here.
    source : str
    remark : str
        What a reader must know to compare.
    """

    model: str
    benchmark: str
    split: str
    figures: dict[str, float]
    source: str
    remark: str = ""


def published_results(benchmark: str, split: str) -> list[PublishedResult]:
    """The results on one split of a benchmark."""
    return [result for result in RESULTS if (result.benchmark, result.split) == (benchmark, split)]


_REFER_SPLITS = (
    ("refcoco", "val"), ("refcoco", "testA"), ("refcoco", "testB"), ("refcoco+", "val"), ("refcoco+", "testA"),
    ("refcoco+", "testB"), ("refcocog", "val"), ("refcocog", "test"),
)  # fmt: skip
_CIOU = (
    ("PSALM", EVF_SAM, "all sentences in one prompt", (83.6, 84.7, 81.6, 72.9, 75.5, 70.1, 73.8, 74.4)),
    ("LISA-7B", EVF_SAM, "", (74.1, 76.5, 71.1, 62.4, 67.4, 56.5, 66.4, 68.5)),
    ("LISA-7B, fine-tuned", SEG_AGENT, "", (74.9, 79.1, 72.3, 65.1, 70.8, 58.1, 67.9, 70.6)),
    ("PixelLM", EVF_SAM, "", (73.0, 76.5, 68.2, 66.3, 71.7, 58.3, 69.3, 70.5)),
    ("GSVA-7B", SEG_AGENT, "", (77.2, 78.9, 73.5, 65.9, 69.6, 59.8, 72.7, 73.3)),
)
_GENERALISED = (
    # model, source, then gIoU, cIoU, N-acc. and T-acc. of val, testA and testB; None where it was not to be read
    ("PSALM", GROUND_V, "without training on gRefCOCO",
     ((43.3, None, 27.7, None), (54.5, None, None, None), (52.5, None, None, None))),
    ("LISA", GROUND_V, "", ((32.2, None, 2.7, None), (48.5, None, None, None), (39.7, None, None, None))),
    ("GSVA-7B", GSVA, "", ((63.47, 61.65, 56.98, 99.54), (69.99, 69.17, 63.39, 98.46), (61.34, 60.26, 58.68, 98.95))),
    ("GSVA-7B, fine-tuned", GSVA, "",
     ((66.43, 63.19, 62.56, 99.62), (71.06, 69.87, 65.72, 98.69), (62.20, 60.35, 60.72, 99.10))),
)  # fmt: skip
_GENERALISED_FIGURES = ("giou", "ciou", "no_target_accuracy", "target_accuracy")
_PANOPTIC = (
    ("Mask2Former, R50", (51.9, 41.7, 61.7)),
    ("Mask2Former, Swin-B", (55.1, 45.2, 65.1)),
    ("Mask2Former, Swin-B (IN21k)", (56.4, 46.3, 67.1)),
    ("Mask2Former, Swin-L (IN21k)", (57.8, 48.6, 67.4)),
)
_INSTANCE = (
    ("Mask2Former, R50", 43.7),
    ("Mask2Former, Swin-B", 46.7),
    ("Mask2Former, Swin-B (IN21k)", 48.1),
    ("Mask2Former, Swin-L (IN21k)", 50.1),
)
_CITYSCAPES = (
    ("Mask2Former, R50", (62.1, 77.5)),
    ("Mask2Former, Swin-B (IN21k)", (66.1, 82.7)),
    ("Mask2Former, Swin-L (IN21k)", (66.6, 82.9)),
)
_TRAINED = "trained on this data set"

RESULTS: tuple[PublishedResult, ...] = (
    *(
        PublishedResult(model, *place, {"ciou": ciou}, source, remark)
        for model, source, remark, row in _CIOU
        for place, ciou in zip(_REFER_SPLITS, row, strict=True)
    ),
    *(
        PublishedResult(
            model,
            "grefcoco",
            split,
            {name: value for name, value in zip(_GENERALISED_FIGURES, row, strict=True) if value is not None},
            source,
            remark,
        )
        for model, source, remark, rows in _GENERALISED
        for split, row in zip(("val", "testA", "testB"), rows, strict=True)
    ),
    PublishedResult("SEEM", "refcocog", "val", {"ciou": 65.7}, SEG_AGENT),
    *(PublishedResult(model, "coco-panoptic", "val", {"pq": row[0]}, MODEL_ZOO) for model, row in _PANOPTIC),
    *(
        PublishedResult(model, "coco-semantic", "val", {"miou": row[2]}, MODEL_ZOO, "by its panoptic model")
        for model, row in _PANOPTIC
    ),
    *(PublishedResult(model, "coco-instance", "val", {"ap": ap}, MODEL_ZOO) for model, ap in _INSTANCE),
    *(
        PublishedResult(model, "cityscapes-panoptic", "val", {"pq": row[0]}, MODEL_ZOO, _TRAINED)
        for model, row in _CITYSCAPES
    ),
    *(
        PublishedResult(model, "cityscapes-semantic", "val", {"miou": row[1]}, MODEL_ZOO, _TRAINED)
        for model, row in _CITYSCAPES
    ),
    PublishedResult("PSALM", "ade20k", "val", {"miou": 18.2}, HIMTOK),
    PublishedResult("PSALM", "pascal-context-59", "val", {"miou": 48.5}, HIMTOK),
    PublishedResult("PSALM", "pascal-voc", "val", {"miou": 81.3}, HIMTOK),
)
