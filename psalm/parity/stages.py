"""Between the image features and the mask proposals: every tensor that was recorded on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from psalm.modeling.input_sequence import InputSequence
from psalm.parity.findings import Findings
from psalm.parity.golden import RecordedModel
from psalm.parity.recorded_prompts import recorded_layers, recorded_logits
from psalm.parity.watch import Seen
from psalm.prompts import ConditionKind, Prompt
from psalm.proposals import MaskProposals

_HEAD: dict[ConditionKind, str] = {
    "categories": "category_projector",
    "sentence": "sentence_projector",
    "regions": "region_projector",
}
_STATES: dict[ConditionKind, tuple[str, str]] = {
    "categories": ("class_pooled", "class_embed"),
    "sentence": ("SEG_pooled", "SEG_embed"),
    "regions": ("region_hidden", "region_embed"),
}
_IN_SEQUENCE: dict[ConditionKind, str] = {
    "categories": "class_index_in_sequence",
    "sentence": "refer_mask_in_sequence",
    "regions": "region_mask_in_sequence",
}


def compare_language(
    findings: Findings, model: RecordedModel, seen: Seen, tensors: Mapping[str, Tensor], prompts: Sequence[Prompt]
) -> None:
    """Sequence, language model states, mask tokens and condition embeddings."""
    sequence, states = seen["language_model"]
    kind = prompts[0].kind
    read = tensors["llm_attention_mask"].bool()
    findings.count("sequence layout", _misplaced(sequence, tensors, kind), "places")
    if sequence.embeddings.shape[:2] != read.shape:
        return
    for stage, ours, key in (
        ("sequence", sequence.embeddings, "inputs_embeds"),
        ("language model", states, "last_hidden_state"),
    ):
        if key in tensors:
            findings.numbers(stage, ours[read], tensors[key][read])
    hidden, projected = seen["query_projector"]
    findings.recorded("mask token states", hidden, tensors, "seg_query_hidden")
    findings.recorded("mask token embeddings", projected, tensors, "seg_query_projected")
    pooled, embedded = seen[_HEAD[kind]]
    for stage, ours, key in zip(
        ("condition states", "condition embeddings"), (pooled, embedded), _STATES[kind], strict=True
    ):
        if kind != "regions":
            findings.recorded(stage, _in_text_order(ours, sequence), tensors, key)
            continue
        for b, prompt in enumerate(prompts):
            findings.recorded(stage, ours[b, : prompt.num_conditions], tensors, f"{key}_{b}")
    if kind == "regions" and model.pooled is not None:
        for b, prompt in enumerate(prompts):
            if f"region_feature_{b}" in tensors:
                recorded = tensors[f"region_feature_{b}"].flatten(0, 1)
                findings.numbers("region pooling", model.pooled[b, : prompt.num_conditions], recorded)


def compare_layers(
    findings: Findings, layers: Sequence[MaskProposals], tensors: Mapping[str, Tensor], kind: ConditionKind
) -> None:
    """Mask and condition logits of every layer of the mask decoder."""
    findings.count("mask decoder layers", abs(len(layers) - (recorded_layers(tensors) or len(layers))), "layers")
    names = [*(f"aux{i}" for i in range(len(layers) - 1)), "final"]
    for name, layer in zip(names, layers, strict=True):
        prefix = "" if name == "final" else f"{name}_"
        findings.recorded(f"masks, {name}", layer.mask_logits, tensors, f"{prefix}pred_masks")
        theirs = recorded_logits(tensors, kind, prefix, len(layer.mask_logits))
        if theirs is None:
            continue
        real = torch.arange(theirs.shape[-1]) < torch.tensor(layer.num_conditions)[:, None, None]
        if theirs.shape == layer.condition_logits.shape:
            theirs = torch.where(real, theirs, layer.condition_logits.detach())
        findings.numbers(f"conditions, {name}", layer.condition_logits, theirs)


def _in_text_order(embeddings: Tensor, sequence: InputSequence) -> Tensor:
    """Condition embeddings (B, K, D) as they were recorded: before shuffled categories were put back in order."""
    rows = []
    for row, spans in zip(embeddings, sequence.conditions, strict=True):
        order = sorted(range(len(spans)), key=lambda place: spans[place])
        rows.append(row[[*order, *range(len(spans), len(row))]])
    return torch.stack(rows)


def _misplaced(sequence: InputSequence, tensors: Mapping[str, Tensor], kind: ConditionKind) -> int:
    """How many places of the batch hold another kind of token than was recorded."""
    shape = sequence.embeddings.shape[:2]
    real, asked, named = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
    for b in range(shape[0]):
        real[b, : sequence.lengths[b]] = 1
        asked[b, slice(*sequence.mask_tokens[b])] = 1
        # Places are numbered as they follow each other in the text.
        for number, (start, stop) in enumerate(sorted(sequence.conditions[b]), 1):
            named[b, start:stop] = number if kind == "categories" else 1
    wrong = 0
    for ours, key in ((real, "llm_attention_mask"), (asked, "seg_query_mask"), (named, _IN_SEQUENCE[kind])):
        if key in tensors:
            theirs = tensors[key].long()
            wrong += int((ours != theirs).sum()) if ours.shape == theirs.shape else ours.numel()
    return wrong
