"""A recorded training step on text after an image."""

from __future__ import annotations

from typing import Any

import torch

from psalm.modeling.conversation import conversation_logits, expand_labels, next_token_loss
from psalm.parity.cases import case_images
from psalm.parity.findings import Finding, Findings
from psalm.parity.golden import GoldenFolder
from psalm.parity.gradients import compare_gradients


def compare_conversation(name: str, facts: dict[str, Any], folder: GoldenFolder) -> list[Finding]:
    """Logits, loss and gradients of one training step on conversations.

    Parameters
    ----------
    name : str
    facts : dict
        Its entry in ``train.json``.
    folder : GoldenFolder
    """
    findings, tensors, model = Findings(name), folder.tensors(f"train/{name}.safetensors"), folder.model()
    model.train()
    image_tokens = model.projector(model.backbone(case_images(facts, tensors, folder))[-1])
    texts, labels = [], []
    for ids, wanted, read in zip(
        tensors["input_ids"], tensors["labels"], tensors["attention_mask"].bool(), strict=True
    ):
        texts.append(ids[read].tolist())
        labels.append(expand_labels(texts[-1], wanted[read].tolist(), image_tokens.shape[1]))
    logits = conversation_logits(model, image_tokens, texts)
    if "logits" in tensors:
        theirs = tensors["logits"]
        real = torch.arange(theirs.shape[1]) < torch.tensor([len(row) for row in labels])[:, None]
        if logits.shape == theirs.shape:
            theirs = torch.where(real[..., None], theirs, logits.detach())
        findings.numbers("next-token logits", logits, theirs)
    loss = next_token_loss(logits, labels)
    loss.backward()
    findings.numbers("loss", loss.item(), facts["loss"])
    compare_gradients(findings, model, facts, tensors)
    return findings.rows
