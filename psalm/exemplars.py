"""Mark an object in one image, and find its like in others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from psalm.annotations import Annotations, Category
from psalm.appearance import Appearance, describe, likeness
from psalm.coco.rle import encode_mask
from psalm.conditions import Task, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.decoding.instance import suppress_groups, suppress_overlaps, suppress_parts
from psalm.decoding.query_masks import QueryMasks
from psalm.decoding.video import region_scores
from psalm.encoded import EncodedImage, remembered
from psalm.errors import ConditionError
from psalm.images import to_rgb8
from psalm.modeling.features import Regions

if TYPE_CHECKING:
    from psalm.decoding import Thresholds
    from psalm.predictor import PSALMPredictor

# Longer sides on the model image, in pixels: of an object that is also kept magnified, and of one that is magnified.
_SMALL, _LARGE = 24, 48


@dataclass(frozen=True)
class Exemplars:
    """Marked objects of one category, as a model remembers them; nothing of their images is kept.

    Parameters
    ----------
    name : str
        The category.
    model : str
        The name of the model that they were marked for.
    appearance : Appearance, optional
        How they look, for the small model.
    magnified : Appearance, optional
        How they look where they are magnified as tiles magnify small objects; the same as above for large ones.
    embeddings : (K, D) tensor, optional
        Region embeddings, for the published model.
    """

    name: str
    model: str
    appearance: Appearance | None = field(default=None, repr=False)
    embeddings: Tensor | None = field(default=None, repr=False)
    magnified: Appearance | None = field(default=None, repr=False)

    def __len__(self) -> int:
        parts: Any = self.embeddings if self.appearance is None else self.appearance
        return len(parts)

    def joined(self, other: Exemplars) -> Exemplars:
        """All exemplars of one category, of whatever images; they count alike.

        Raises
        ------
        ConditionError
            When categories or models differ.
        """
        if (self.name, self.model) != (other.name, other.model):
            raise ConditionError(
                f"Exemplars of {self.name!r} for {self.model} and of {other.name!r} for {other.model} are not of one "
                "kind: join those of one category, marked with one model."
            )
        if self.appearance is not None and other.appearance is not None:
            looks = Appearance.concatenate([self.appearance, other.appearance])
            near = [one.magnified or one.appearance for one in (self, other)]
            return Exemplars(self.name, self.model, looks, None, Appearance.concatenate([a for a in near if a]))
        vectors = [each for each in (self.embeddings, other.embeddings) if each is not None]
        return Exemplars(self.name, self.model, embeddings=torch.cat(vectors))


def mark_exemplars(
    predictor: PSALMPredictor, image: ArrayLike, masks: NDArray[np.bool_], name: str = "object"
) -> Exemplars:
    """Remember marked objects of one category.

    Parameters
    ----------
    predictor : PSALMPredictor
    image : (H, W) or (H, W, C) array
    masks : (K, H, W) array of bool
        One whole object each; a click or box is made a mask with `PSALMPredictor.predict` first.
    name : str
        The category.

    Raises
    ------
    ConditionError
        When there is no mask, one is empty, or they have not the size of the image.
    """
    condition = VisualPriorCondition(masks)
    encoded = EncodedImage.of(predictor, image)
    on_model = encoded.masks(condition.masks)
    with torch.inference_mode():
        if predictor.config.mask_generator == "two_way":
            looks = describe(encoded.features, on_model, encoded.scale(on_model.shape[-1]))
            near = _magnified(predictor, to_rgb8(image), condition.masks, looks)
            return Exemplars(name, predictor.config.name, looks, magnified=near)
        vectors = predictor.model.pool_regions(encoded.features, [Regions(on_model, condition.kinds)])[0]
    return Exemplars(name, predictor.config.name, embeddings=vectors)


def find_alike(
    predictor: PSALMPredictor,
    image: ArrayLike | EncodedImage,
    exemplars: Sequence[Exemplars],
    score_threshold: float | None = None,
    thresholds: Thresholds | None = None,
) -> Annotations:
    """Find objects that look like exemplars, in the image of the exemplars or in any other one.

    Parameters
    ----------
    predictor : PSALMPredictor
        The one that the exemplars were marked with.
    image : (H, W) or (H, W, C) array, or EncodedImage
    exemplars : sequence of Exemplars
        One per category. Those of one category are averaged.
    score_threshold : float, optional
        Objects with a lower score are left out; `thresholds.score` when not given. Ask with 0 and select, to choose
        it live.
    thresholds : Thresholds, optional
        `predictor.thresholds` when not given; its limits for overlaps and parts hold.

    Returns
    -------
    Annotations
        Better scores first; ids count from 1 in the order of `exemplars`.

    Raises
    ------
    ConditionError
        When there are no exemplars, or they were marked with another model.
    """
    if not exemplars:
        raise ConditionError("There is no exemplar: mark at least one object.")
    other = sorted({one.model for one in exemplars} - {predictor.config.name})
    if other:
        raise ConditionError(f"The exemplars were marked with {', '.join(other)}: mark them with this model.")
    limits = thresholds or predictor.thresholds
    least = limits.score if score_threshold is None else score_threshold
    encoded = image if isinstance(image, EncodedImage) else EncodedImage.of(predictor, image)
    with torch.inference_mode():
        if predictor.config.mask_generator == "two_way":
            found = _among_drafts(predictor, encoded, exemplars, least)
        else:
            known = [(k, one.embeddings) for k, one in enumerate(exemplars) if one.embeddings is not None]
            found = [one for k, each in known for one in _asked(predictor, encoded, each, k, least)]
    found = [one for one in sorted(found, key=lambda one: -one[0]) if one[2].sum() >= max(limits.min_area, 1)]
    codes = [encode_mask(mask) for _, _, mask in found]
    kept = list(range(len(found))) if limits.nms_iou is None else suppress_overlaps(codes, limits.nms_iou)
    if limits.inside is not None:
        for suppress in (suppress_parts, suppress_groups):
            kinds = [found[i][1] for i in kept]
            kept = [kept[i] for i in suppress([codes[i] for i in kept], kinds, limits.inside)]
    found = [found[i] for i in kept]
    return Annotations(
        np.stack([mask for _, _, mask in found]) if found else np.zeros((0, *encoded.frame.original), dtype=bool),
        np.array([kind + 1 for _, kind, _ in found], dtype=np.int64),
        np.array([score for score, _, _ in found], dtype=np.float32),
        tuple(Category(k + 1, one.name) for k, one in enumerate(exemplars)),
        tuple(f"like {exemplars[kind].name}" for _, kind, _ in found),
    )


class ExemplarPredictor:
    """Answers every question with what looks like exemplars, so that tiles and folders can be searched for them.

    Parameters
    ----------
    predictor : PSALMPredictor
    exemplars : sequence of Exemplars
    """

    def __init__(self, predictor: PSALMPredictor, exemplars: Sequence[Exemplars]) -> None:
        self._predictor, self._exemplars = predictor, tuple(exemplars)

    @property
    def config(self) -> PSALMConfig:
        """The model's configuration."""
        return self._predictor.config

    @property
    def thresholds(self) -> Thresholds:
        """What decides whether a proposal becomes an object."""
        return self._predictor.thresholds

    @property
    def object_size(self) -> float | None:
        """The median diameter of the exemplars in pixels of their images; None for the published model."""
        looks = [one.appearance for one in self._exemplars if one.appearance is not None]
        if not looks:
            return None
        return float(torch.cat([each.areas for each in looks]).mul(4 / torch.pi).sqrt().median())

    def predict_batch(
        self,
        images: Sequence[ArrayLike],
        condition: Any = None,
        task: Any = None,
        score_threshold: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> list[Annotations]:
        """Objects like the exemplars in each image; `condition` and `task` are not looked at."""
        return [find_alike(self._predictor, image, self._exemplars, score_threshold, thresholds) for image in images]


def _magnified(
    predictor: PSALMPredictor, image: NDArray[np.uint8], masks: NDArray[np.bool_], looks: Appearance
) -> Appearance:
    """How objects look magnified: what is small looks like nothing that a tile shows of its like."""
    rows, longest, size = [], max(image.shape[:2]), predictor.config.image_size
    for k, mask in enumerate(masks):
        lines = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
        extent = max(int(n[-1] - n[0]) + 1 for n in lines)
        side = round(size * extent / _LARGE)
        if extent * size >= _SMALL * longest or side >= longest:
            rows.append(looks.select([k]))
            continue
        window = []
        for places, length in zip(lines, image.shape, strict=False):
            start = int(np.clip((places[0] + places[-1] + 1 - side) // 2, 0, max(length - side, 0)))
            window.append(slice(start, start + side))
        near = EncodedImage.of(predictor, image[window[0], window[1]])
        on_model = near.masks(mask[None, window[0], window[1]])
        rows.append(describe(near.features, on_model, near.scale(on_model.shape[-1])))
    return Appearance.concatenate(rows)


def _alike(one: Exemplars, found: Appearance, quality: Tensor) -> Tensor:
    """Logits (N,): each exemplar as it is more alike, small or magnified; exemplars count alike."""
    views = [each for each in (one.appearance, one.magnified) if each is not None]
    # Sizes apart, the mean of the logits is the logit of the mean appearance.
    return torch.stack([likeness(view, found, quality) for view in views]).amax(dim=0).mean(dim=0)


_Found = tuple[float, int, NDArray[np.bool_]]


def _among_drafts(
    predictor: PSALMPredictor, encoded: EncodedImage, exemplars: Sequence[Exemplars], least: float
) -> list[_Found]:
    """Drafts of the small model that look like an exemplar, each as the category that it is most like."""
    state = predictor.model.mask_generator.draft(encoded.features, None).state
    logits, quality = state["masks"][0].float(), state["quality"][0].float()
    drafts = logits > 0
    found = describe(encoded.features, drafts, encoded.scale(drafts.shape[-1]))
    scores = torch.stack([_alike(one, found, quality) for one in exemplars]).sigmoid()
    scores = torch.where(drafts.flatten(1).any(dim=1), scores, 0.0)
    best, kinds = scores.max(dim=0)
    masks = QueryMasks(logits, encoded.frame)
    chosen = (best >= max(least, 1e-6)).nonzero().flatten().tolist()
    return [(float(best[i]), int(kinds[i]), masks.mask(i).cpu().numpy()) for i in chosen]


def _asked(
    predictor: PSALMPredictor, encoded: EncodedImage, embeddings: Tensor, kind: int, least: float
) -> list[_Found]:
    """Queries of the published model that answer the mean region embedding of the exemplars."""
    reference, regions = remembered(embeddings.mean(dim=0, keepdim=True), encoded.frame.size)
    prompt = predictor.prompts.build(Task.INTERACTIVE, VisualPriorCondition(np.ones((1, 1, 1), dtype=bool)))
    proposals = predictor.model.propose(encoded.features, [prompt], [regions], reference=reference)[-1]
    masks = QueryMasks(proposals.mask_logits[0], encoded.frame)
    scores = region_scores(masks, proposals.condition_logits[0].float())[:, 0]
    chosen = (scores >= max(least, 1e-6)).nonzero().flatten().tolist()
    return [(float(scores[i]), kind, masks.mask(i).cpu().numpy()) for i in chosen]
