"""Images and instructions that a model has read before are not read again."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from psalm.feature_store import FeatureStore, Weights, encoder_hash, feature_key
from psalm.modeling.features import ImageFeatures
from psalm.modeling.language_model import PrefixCache
from psalm.modeling.psalm import PSALM
from psalm.prompts import Prompt


class ImageEncoder:
    """Encodes images with one model and keeps what it read.

    Parameters
    ----------
    model : PSALM
    store : FeatureStore, optional
        One of its own, in memory, when not given.
    """

    def __init__(self, model: PSALM, store: FeatureStore | None = None) -> None:
        self._model, self._store = model, store or FeatureStore()
        self._weights = Weights(model)
        self._generation = 0
        self._name = ""
        self._lock = threading.Lock()
        # The words before the image, and a prompt of each kind that was asked, by their tokens.
        self._openings: dict[tuple[int, ...], PrefixCache] = {}
        self._asked: dict[tuple[int, ...], Prompt] = {}

    def encode(self, pixels: Tensor) -> ImageFeatures:
        """Features of normalised images (B, 3, S, S) on the model's device."""
        weight = self._model.query_projector.weight
        with torch.inference_mode():
            return self._model.encode_image(pixels.to(weight.dtype))

    def recall(self, rgb8: NDArray[np.uint8], make: Callable[[], ImageFeatures]) -> ImageFeatures:
        """The features of an image (H, W, 3) as they are kept, or else as `make` gives them."""
        self._follow_weights()
        return self._store.obtain(feature_key(rgb8, self._name), make, self._model.query_projector.weight.device)

    def prefix(self, features: ImageFeatures, prompt: Prompt) -> PrefixCache:
        """What the language model has read of the beginning of a prompt.

        That is the images and the instruction, once they were asked together; before, the words that come first. A
        prompt is then read in one go, and `PSALM.propose` keeps with the features what others will begin with.
        """
        known = features.prefixes.get(prompt.prefix)
        if known is None:
            self._follow_weights()
            self._asked[prompt.prefix] = prompt
            known = self._opening(prompt)
        return known

    def read_instructions(self, features: ImageFeatures) -> None:
        """Read the instructions that were asked of other images before they are asked of these."""
        for prompt in tuple(self._asked.values()):
            if prompt.prefix not in features.prefixes:
                self._follow_weights()
                with torch.inference_mode():
                    known = self._model.read_prefix(features, prompt, self._opening(prompt))
                features.prefixes[prompt.prefix] = known

    def _opening(self, prompt: Prompt) -> PrefixCache:
        """The words before the image, as they were read."""
        if not prompt.opening:
            return PrefixCache((), ())
        if prompt.opening not in self._openings:
            with torch.inference_mode():
                self._openings[prompt.opening] = self._model.read_opening(prompt)
        return self._openings[prompt.opening]

    def _follow_weights(self) -> None:
        """Forget everything once a weight has changed."""
        with self._lock:
            generation = self._weights.look()
            if generation == self._generation:
                return
            self._store.clear()
            self._openings.clear()
            # Hashing the weights takes a while, and only files outlive this encoder.
            self._name = uuid.uuid4().hex if self._store.folder is None else encoder_hash(self._model)
            self._generation = generation
