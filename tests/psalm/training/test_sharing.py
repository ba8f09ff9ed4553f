"""What a run computes in."""

from __future__ import annotations

import pytest
import torch

from psalm.training.sharing import computes_in_bf16


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("has", [True, False])
def test_a_processor_computes_in_bf16_where_it_has_instructions_for_it(monkeypatch, device, has):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    assert computes_in_bf16(device) is has


@pytest.mark.parametrize("device", [None, "cpu"])
def test_an_accelerator_is_asked_unless_it_is_forbidden(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert computes_in_bf16(device) is (device is None)
