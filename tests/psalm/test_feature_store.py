"""Kept features are the same features, within bounds, and never those of something else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from psalm.config import PSALMConfig
from psalm.feature_store import FeatureStore, Weights, encoder_hash, feature_key, stored_files, trim
from psalm.modeling.features import ImageFeatures
from psalm.modeling.psalm import PSALM

KEYS = [f"{i:064x}" for i in range(9)]


def made(value: float = 0.0, size: int = 100) -> ImageFeatures:
    """Features of 8 * size bytes."""
    tokens = torch.full((1, 1, size), value)
    return ImageFeatures((tokens.clone(),), tokens, {})


def forbidden() -> ImageFeatures:
    raise AssertionError("these features were kept")


def test_memory_is_bounded_and_the_least_recently_used_goes_first():
    store = FeatureStore(memory_bytes=3 * 800)
    for key in KEYS[:3]:
        store.obtain(key, made)
    store.obtain(KEYS[0], forbidden)
    store.obtain(KEYS[3], made)
    assert len(store) == 3 and store.nbytes == 3 * 800
    store.obtain(KEYS[0], forbidden)
    with pytest.raises(AssertionError):
        store.obtain(KEYS[1], forbidden)
    store.obtain(KEYS[4], lambda: made(size=1000))
    assert store.nbytes <= 3 * 800
    store.clear()
    assert len(store) == 0


def test_features_that_have_grown_count_with_their_new_size():
    store = FeatureStore(memory_bytes=2000)
    first = store.obtain(KEYS[0], made)
    first.generator["drafts"] = torch.zeros(300)
    store.obtain(KEYS[1], made)
    assert store.nbytes == 800


def test_files_serve_a_later_session_and_damaged_ones_are_made_again(tmp_path: Path):
    features = ImageFeatures(
        (torch.rand(1, 2, 3), torch.rand(1, 4)), torch.rand(1, 5).bfloat16(), {"masks": torch.rand(1, 2) > 0.5}
    )
    FeatureStore(folder=tmp_path).obtain(KEYS[0], lambda: features)
    again = FeatureStore(folder=tmp_path).obtain(KEYS[0], forbidden)
    assert len(again.pyramid) == 2
    for before, after in zip(
        (*features.pyramid, features.image_tokens), (*again.pyramid, again.image_tokens), strict=True
    ):
        assert torch.equal(before, after) and before.dtype == after.dtype
    assert torch.equal(again.generator["masks"], features.generator["masks"])
    (tmp_path / f"{KEYS[0]}.safetensors").write_bytes(b"damaged")
    assert FeatureStore(folder=tmp_path).obtain(KEYS[0], made).image_tokens.shape == (1, 1, 100)


def test_the_folder_is_bounded_and_other_files_are_left_alone(tmp_path: Path):
    other = tmp_path / "notes.safetensors"
    other.write_bytes(bytes(5000))
    store = FeatureStore(memory_bytes=0, folder=tmp_path, disk_bytes=3000)
    for age, key in enumerate(KEYS[:4]):
        store.obtain(key, made)
        os.utime(tmp_path / f"{key}.safetensors", (age, age)) if (tmp_path / f"{key}.safetensors").exists() else None
    names = sorted(path.name for path, _, _ in stored_files(tmp_path))
    assert names == [f"{key}.safetensors" for key in KEYS[1:4]]
    assert trim(tmp_path) > 0 and list(stored_files(tmp_path)) == []
    assert other.exists()


def test_threads_that_want_the_same_image_encode_it_once():
    store, calls, inside = FeatureStore(), [], threading.Event()

    def slow() -> ImageFeatures:
        calls.append(1)
        inside.wait(5)
        return made()

    threads = [threading.Thread(target=store.obtain, args=(KEYS[0], slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    inside.set()
    for thread in threads:
        thread.join(10)
    assert len(calls) == 1


def test_keys_differ_with_pixels_shape_and_encoder():
    image = np.zeros((4, 6, 3), np.uint8)
    other = image.copy()
    other[0, 0, 0] = 1
    keys = {
        feature_key(image, "a"),
        feature_key(other, "a"),
        feature_key(image.reshape(6, 4, 3), "a"),
        feature_key(image, "b"),
    }
    assert len(keys) == 4 and feature_key(image[:, ::-1], "a") == feature_key(image, "a")


def test_the_hash_of_an_encoder_knows_weights_precision_and_preprocessing():
    torch.manual_seed(0)
    model = PSALM(PSALMConfig.small())
    hashes = {encoder_hash(model)}
    model.config = PSALMConfig.small(pad_value=0)
    hashes.add(encoder_hash(model))
    with torch.no_grad():
        model.projector.norm1.running_mean += 1e-3
    hashes.add(encoder_hash(model))
    hashes.add(encoder_hash(model.bfloat16()))
    assert len(hashes) == 4


def test_changed_and_replaced_weights_are_noticed():
    model = PSALM(PSALMConfig.small(decoder_layers=1, pixel_decoder_layers=1))
    weights = Weights(model)
    seen = [weights.look(), weights.look()]
    with torch.no_grad():
        model.query_projector.bias.add_(1)
    seen.append(weights.look())
    model.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)
    seen.append(weights.look())
    assert seen == [1, 1, 2, 3]
