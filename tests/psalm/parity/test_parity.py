"""Our code gives the published code's numbers, and the comparison notices when it does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from psalm.cli.main import app
from psalm.errors import CheckpointError
from psalm.parity import Finding, run_parity, worst_of_each
from psalm.parity.findings import largest_difference

TESTS = Path(__file__).resolve().parents[2]
SUBSET = TESTS / "golden"
EVERYTHING = TESTS.parent.parent / "shared" / "golden"


@pytest.mark.parametrize("folder", [SUBSET, EVERYTHING], ids=["subset", "everything"])
def test_every_recorded_number_agrees(folder: Path) -> None:
    if not folder.exists():
        pytest.skip("the full set of recorded numbers is not here")
    findings = run_parity(folder)
    assert [finding for finding in findings if not finding.agrees] == []
    cases = {finding.case for finding in findings}
    assert (
        set(json.loads((folder / "cases.json").read_text())) | set(json.loads((folder / "train.json").read_text()))
        <= cases
    )
    stages = {finding.stage for finding in findings}
    assert {
        "backbone res5",
        "projector",
        "language model",
        "condition embeddings",
        "pixel decoder mask_features",
        "masks, final",
        "conditions, aux0",
        "instances, masks",
        "panoptic, map",
        "semantic, map",
        "referring, chosen mask",
        "generalised referring, mask",
        "interactive, masks",
        "video, label map",
        "matches",
        "next-token logits",
        "token ids, region_3",
    } <= stages


@pytest.fixture
def one_case(tmp_path: Path) -> Path:
    """A folder with one case, to be spoilt."""
    (tmp_path / "cases").mkdir()
    for name in ("tiny_config.json", "tiny_official.safetensors", "cases/c_referring_short.safetensors"):
        shutil.copy(SUBSET / name, tmp_path / name)
    facts = json.loads((SUBSET / "cases.json").read_text())["c_referring_short"]
    tensors = load_file(tmp_path / "cases" / "c_referring_short.safetensors")
    tensors["images"] = load_file(SUBSET / "img_A.safetensors")["image"]
    save_file(tensors, tmp_path / "cases" / "other.safetensors")
    (tmp_path / "cases.json").write_text(json.dumps({"other": facts}))
    return tmp_path


@pytest.mark.parametrize(
    ("tensor", "stages"),
    [
        ("last_hidden_state", {"language model"}),
        ("SEG_embed", {"condition embeddings"}),
        ("pred_SEG_logits", {"conditions, final"}),
        ("aux2_pred_SEG_logits", {"conditions, aux2"}),
        ("post_inst_scores", {"referring, scores", "referring, best score"}),
        ("chosen_mask_packed", {"referring, chosen mask"}),
        ("seg_query_mask", {"sequence layout"}),
    ],
)
def test_any_other_number_is_noticed(one_case: Path, tensor: str, stages: set[str]) -> None:
    path = one_case / "cases" / "other.safetensors"
    tensors = load_file(path)
    spoilt = tensors[tensor]
    tensors[tensor] = spoilt + 0.01 if spoilt.is_floating_point() else 255 - spoilt
    save_file(tensors, path)
    assert {finding.stage for finding in run_parity(one_case) if not finding.agrees} == stages


def test_the_command_prints_a_table_and_fails_beyond_tolerance(one_case: Path) -> None:
    def call() -> tuple[int, str]:
        result = CliRunner().invoke(app, ["parity", str(one_case)])
        return result.exit_code, result.output

    code, output = call()
    assert code == 0 and "language model" in output and "comparisons agree" in output
    path = one_case / "cases" / "other.safetensors"
    tensors = load_file(path)
    tensors["pred_masks"][0, 3, 4, 5] += 1
    save_file(tensors, path)
    code, output = call()
    assert code == 1 and "differs" in output and "1 of" in output


def test_weights_that_are_not_the_recorded_ones_are_noticed(one_case: Path) -> None:
    path = one_case / "tiny_official.safetensors"
    weights = load_file(path)
    weights["model.final_layernorm.weight"] *= 1.01
    save_file(weights, path)
    assert not all(finding.agrees for finding in run_parity(one_case))


def test_a_folder_without_numbers_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no folder"):
        run_parity(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no recorded numbers"):
        run_parity(tmp_path)
    (tmp_path / "cases.json").write_text('{"a": {}}')
    with pytest.raises(CheckpointError, match="tiny_config"):
        run_parity(tmp_path)


def test_differences_that_are_no_numbers_never_agree() -> None:
    assert largest_difference(torch.ones(2), torch.ones(3)) == float("inf")
    assert largest_difference(torch.tensor([float("nan")]), torch.ones(1)) == float("inf")
    assert largest_difference(torch.tensor([float("inf")]), torch.tensor([float("inf")])) == 0
    assert not Finding("a", "b", float("nan"), 1.0).agrees


def test_the_short_table_keeps_the_worst_and_all_that_differs() -> None:
    rows = [Finding("a", f"masks, aux{i}", i, 1.5) for i in range(4)]
    assert [row.error for row in worst_of_each(rows)] == [1, 2, 3]
