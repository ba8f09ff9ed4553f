"""Looks over the model's shoulder while it proposes masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from psalm.modeling.psalm import PSALM

_WATCHED = ("language_model", "query_projector", "category_projector", "sentence_projector", "region_projector")


class Seen(dict[str, tuple[Any, Any]]):
    """First input and output of each watched part, by its name."""


@contextmanager
def watching(model: PSALM) -> Iterator[Seen]:
    """Collect what goes into and comes out of the parts around the language model."""
    seen = Seen()

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            seen[name] = (inputs[0], output)

        return hook

    with ExitStack() as stack:
        for name in _WATCHED:
            stack.callback(model.get_submodule(name).register_forward_hook(keep(name)).remove)
        yield seen
