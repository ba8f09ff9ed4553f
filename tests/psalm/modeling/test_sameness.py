"""What speaks for the same object is weighed as the fixed weights of earlier versions did, in half precision too."""

from __future__ import annotations

import pytest
import torch

from psalm.modeling.older_weights import completed
from psalm.modeling.psalm import PSALM
from psalm.modeling.sameness import EVIDENCE, Sameness
from tests.psalm.modeling.builders import two_way_config

FORMER = torch.tensor([8.4, 32.9, 107.6, -0.4, 0.9, 2.1, 33.4, 107.5, 4.5, -1.0, 4.4, 3.9])
LIKENESSES = [0, 1, 2, 3, 5, 6, 7, 8]


def _drafts(count: int = 50) -> torch.Tensor:
    """Likenesses from 0.9 to 1, differences of size, quality and nearness."""
    likenesses = 0.9 + 0.1 * torch.rand(count, EVIDENCE, generator=torch.Generator().manual_seed(0))
    likenesses[:, [4, 9, 10, 11]] = torch.rand(count, 4, generator=torch.Generator().manual_seed(1))
    return likenesses


@pytest.mark.parametrize(("precision", "error"), [(torch.float32, 1e-3), (torch.float16, 0.01)])
def test_a_new_part_weighs_as_the_fixed_weights_did(precision: torch.dtype, error: float) -> None:
    drafts = _drafts()
    counted_from_one = drafts.clone()
    counted_from_one[:, LIKENESSES] -= 1
    logits = Sameness().to(precision)(counted_from_one)
    # The former bias stood for an object that overlaps its last place by 0.7.
    torch.testing.assert_close(logits, drafts @ FORMER - 293.5 - 0.7 * 3.9, atol=error, rtol=0)


def test_weights_of_an_older_small_model_are_completed_in_their_precision() -> None:
    model = PSALM(two_way_config()).half()
    old = {name: value for name, value in model.state_dict().items() if "sameness" not in name}
    new = completed(old, model)
    assert set(new) - set(old) == {"mask_generator.sameness.weight", "mask_generator.sameness.bias"}
    assert new["mask_generator.sameness.weight"].dtype == torch.float16
    torch.testing.assert_close(new["mask_generator.sameness.weight"], FORMER.half())


def test_other_weights_are_left_as_they_are() -> None:
    model = PSALM(two_way_config())
    published = {"mask_generator.seg_query": torch.zeros(1)}
    assert completed(published, model) == published
    damaged = {name: value for name, value in model.state_dict().items() if not name.endswith("sameness.weight")}
    assert set(completed(damaged, model)) == set(damaged)
