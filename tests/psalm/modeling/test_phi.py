"""The language model is transformers' Phi, number for number."""

from __future__ import annotations

import pytest
import torch
import transformers

from psalm.config import PSALMConfig
from psalm.modeling.language_model import attention_mask
from psalm.modeling.phi import KeysValues, PhiModel

CONFIG = PSALMConfig.small()


@pytest.fixture(scope="module")
def theirs() -> transformers.PhiModel:
    rope = {"rope_type": "default", "rope_theta": CONFIG.lm_rope_theta, "partial_rotary_factor": 0.5}
    config = transformers.PhiConfig(
        vocab_size=CONFIG.vocab_size,
        hidden_size=CONFIG.lm_hidden,
        intermediate_size=CONFIG.lm_intermediate,
        num_hidden_layers=CONFIG.lm_layers,
        num_attention_heads=CONFIG.lm_heads,
        layer_norm_eps=CONFIG.lm_norm_eps,
        rope_parameters=rope,
    )
    torch.manual_seed(0)
    return transformers.PhiModel(config).eval()


@pytest.fixture(scope="module")
def ours(theirs: transformers.PhiModel) -> PhiModel:
    model = PhiModel(CONFIG).eval()
    model.load_state_dict(theirs.state_dict())
    return model


def embeddings(length: int) -> torch.Tensor:
    return torch.randn(2, length, CONFIG.lm_hidden, generator=torch.Generator().manual_seed(1))


def test_random_weights_are_begun_alike(theirs: transformers.PhiModel) -> None:
    torch.manual_seed(0)
    begun = PhiModel(CONFIG).state_dict()
    assert begun.keys() == theirs.state_dict().keys()
    for name, weight in theirs.state_dict().items():
        assert torch.equal(begun[name], weight), name


def test_states_are_those_of_transformers(theirs: transformers.PhiModel, ours: PhiModel) -> None:
    with torch.no_grad():
        expected = theirs(inputs_embeds=embeddings(40)).last_hidden_state
        torch.testing.assert_close(ours(embeddings(40)), expected, atol=1e-5, rtol=1e-5)


def test_what_was_read_before_is_gone_on_from(ours: PhiModel) -> None:
    kept: list[KeysValues] = []
    with torch.no_grad():
        whole = ours(embeddings(40))
        ours(embeddings(40)[:, :25], kept=kept)
        rest = ours(embeddings(40)[:, 25:], attention_mask((2, 40), (), 25, whole.device), kept)
    torch.testing.assert_close(rest, whole[:, 25:], atol=1e-5, rtol=1e-5)


def test_positions_keep_their_precision_in_half_of_it(ours: PhiModel) -> None:
    half = PhiModel(CONFIG).to(torch.bfloat16)
    pairs = ours._angles(0, 2048, embeddings(1)), half._angles(0, 2048, embeddings(1).bfloat16())
    for fine, coarse in zip(*pairs, strict=True):
        assert torch.equal(fine.bfloat16(), coarse)


def test_layers_that_are_computed_again_learn_the_same(ours: PhiModel) -> None:
    gradients = []
    for ours.checkpointing in (False, True):
        ours.train().zero_grad()
        ours(embeddings(9)).square().sum().backward()
        gradients.append(ours.layers[0].mlp.fc1.weight.grad)
    ours.checkpointing = False
    torch.testing.assert_close(*gradients)
