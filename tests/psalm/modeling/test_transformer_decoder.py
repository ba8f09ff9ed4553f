from __future__ import annotations

import pytest
import torch

from psalm.config import PSALMConfig
from psalm.modeling.features import ConditionEmbeddings
from psalm.modeling.transformer_decoder import MLP, Attention, TransformerDecoder, _attention_mask


@pytest.fixture
def decoder() -> TransformerDecoder:
    torch.manual_seed(0)
    return TransformerDecoder(PSALMConfig.small()).eval()


def _inputs(batch=2):
    levels = [torch.randn(batch, 64, size, size + 1) for size in (2, 4, 8)]
    return torch.randn(batch, 20, 64), torch.randn(batch, 64, 16, 18), levels


@pytest.mark.parametrize(("kind", "count"), [("categories", 5), ("sentence", 1), ("regions", 3)])
def test_every_layer_proposes_masks_and_scores(decoder, kind, count):
    conditions = ConditionEmbeddings(torch.randn(2, count, 64), (count, count), kind)
    proposals = decoder(*_inputs(), conditions)
    assert len(proposals) == 5
    for proposal in proposals:
        assert proposal.mask_logits.shape == (2, 20, 16, 18)
        assert proposal.condition_logits.shape == (2, 20, count)
        assert proposal.num_conditions == (count, count)


def test_inference_mode_makes_the_final_proposals_alone(decoder):
    inputs, conditions = _inputs(), ConditionEmbeddings(torch.randn(2, 3, 64), (3, 3), "categories")
    with torch.no_grad():
        every = decoder(*inputs, conditions)
    with torch.inference_mode():
        final = decoder(*inputs, conditions)
    assert len(every) == 5 and len(final) == 1
    assert torch.equal(every[-1].mask_logits, final[0].mask_logits)
    assert torch.equal(every[-1].condition_logits, final[0].condition_logits)


def test_batch_of_unequal_counts_equals_singles(decoder):
    queries, mask_features, levels = _inputs()
    embeddings = torch.randn(2, 4, 64)
    embeddings[1, 2:] = 0
    together = decoder(queries, mask_features, levels, ConditionEmbeddings(embeddings, (4, 2), "categories"))[-1]
    for index, count in enumerate((4, 2)):
        one = slice(index, index + 1)
        conditions = ConditionEmbeddings(embeddings[one, :count], (count,), "categories")
        alone = decoder(queries[one], mask_features[one], [level[one] for level in levels], conditions)[-1]
        torch.testing.assert_close(together.mask_logits[one], alone.mask_logits, rtol=0, atol=1e-4)
        torch.testing.assert_close(together.condition_logits[one, :, :count], alone.condition_logits, rtol=0, atol=1e-4)


def test_kinds_of_condition_have_heads_of_their_own(decoder):
    inputs, embeddings = _inputs(), torch.randn(2, 1, 64)
    kinds = ("categories", "sentence", "regions")
    results = [decoder(*inputs, ConditionEmbeddings(embeddings, (1, 1), kind))[-1] for kind in kinds]
    assert torch.equal(results[0].mask_logits, results[1].mask_logits)
    assert not torch.equal(results[0].condition_logits, results[1].condition_logits)
    assert not torch.equal(results[1].condition_logits, results[2].condition_logits)


def test_attention_stays_inside_the_mask_unless_that_is_empty():
    logits = torch.full((1, 2, 2, 2), -1.0)
    logits[0, 0, 0, 0] = 1.0
    allowed = _attention_mask(logits)
    assert allowed[0].tolist() == [[True, False, False, False], [True] * 4]


def test_attention_ignores_what_is_masked():
    attention = Attention(8, 2)
    query, value = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    allowed = torch.ones(1, 3, 5, dtype=torch.bool)
    allowed[:, :, 4] = False
    torch.testing.assert_close(attention(query, value, value, allowed), attention(query, value[:, :4], value[:, :4]))


def test_attention_equals_torch_multi_head_attention():
    ours, theirs = Attention(8, 2), torch.nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict({name.replace("in_proj.", "in_proj_"): value for name, value in ours.state_dict().items()})
    query, key, value = torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    torch.testing.assert_close(ours(query, key, value), theirs(query, key, value)[0], rtol=0, atol=1e-6)


def test_mlp_ends_without_relu():
    assert (MLP(4, 2, 6)(torch.randn(50, 4)) < 0).any()
