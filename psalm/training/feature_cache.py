"""Features of images on disk, for stages in which the encoder is frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from psalm.errors import ConfigError
from psalm.files import replacing
from psalm.modeling.features import ImageFeatures
from psalm.modeling.psalm import PSALM
from psalm.training.frozen import evaluating

_HALF = torch.finfo(torch.float16)
_PACKED = "_packed_width"
Row = dict[str, Tensor]


class FeatureCache:
    """Encode each image once per encoder and keep the result in half precision.

    Two kinds of file are kept per image: ``maps``, with the backbone's levels and what the mask generator makes of
    them, and, where the generator drafts its masks from the image alone and this part of it is frozen, the much
    smaller ``drafts``, which serve every class list and sentence. Stages that change how masks are drafted share the
    maps. Image tokens are computed anew, since the projector may be in training. Fresh features go through half
    precision too, so that a run does not depend on what was cached before.

    Parameters
    ----------
    folder : path
        One sub-folder per encoder is made here, and one for each way of drafting with it.
    model : PSALM

    Attributes
    ----------
    folder : Path
        Of what depends on all frozen weights: the drafts where there are any, else the maps.

    Raises
    ------
    ConfigError
        When something that makes the features is in training.
    """

    def __init__(self, folder: Path | str, model: PSALM) -> None:
        self.model = model
        drafting = _used_tensors(model) if hasattr(model.mask_generator, "seed_proposals") else {}
        self._has_drafts = bool(drafting) and not any(tensor.requires_grad for tensor in drafting.values())
        self._maps_folder = self.folder = Path(folder) / encoder_hash(model, drafts=False)
        if self._has_drafts:
            self.folder = Path(folder) / _hash(model, drafting)
        self.folder.mkdir(parents=True, exist_ok=True)

    def encode(self, images: Tensor, keys: Sequence[str], regions: bool) -> ImageFeatures:
        """Features of a batch.

        Parameters
        ----------
        images : (B, 3, S, S) tensor
        keys : sequence of B str
            Names of the images; an image with an empty key is not kept.
        regions : bool
            Whether visual priors will be asked for: these need the maps.
        """
        make = self._maps if regions or not self._has_drafts else self._drafts
        rows = [make(image[None], key) for image, key in zip(images, keys, strict=True)]
        stacked = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        levels = sorted(name for name in stacked if name.startswith("level_"))
        pyramid = tuple(stacked.pop(name) for name in levels)
        return ImageFeatures(pyramid, self.model.projector(pyramid[-1]), stacked)

    def _maps(self, image: Tensor, key: str) -> Row:
        """Levels of the backbone ``level_<i>`` and the generator's tensors, of one image."""
        return self._kept(key, "maps", image, lambda: _encode(self.model, image))

    def _drafts(self, image: Tensor, key: str) -> Row:
        """The coarsest level and the generator's drafts, of one image."""

        def make() -> Row:
            maps = self._maps(image, key) if self._path(key, "maps").exists() else _rounded(_encode(self.model, image))
            return _draft(self.model, maps)

        return self._kept(key, "drafts", image, make)

    def _kept(self, key: str, kind: str, image: Tensor, make: Callable[[], Row]) -> Row:
        row = self._load(self._path(key, kind)) if key else None
        if row is None:
            row = _pack(make())
            if key:
                with replacing(self._path(key, kind)) as temporary:
                    save_file(row, temporary)
        return _unpack(row, image)

    def _path(self, key: str, kind: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        folder = self._maps_folder if kind == "maps" else self.folder
        return folder / digest[:2] / f"{digest[:32]}.{kind}.safetensors"

    @staticmethod
    def _load(path: Path) -> Row | None:
        try:
            return load_file(path) if path.exists() else None
        except (SafetensorError, OSError):  # a damaged file is made again
            return None


@torch.no_grad()
def _encode(model: PSALM, image: Tensor) -> Row:
    pyramid = tuple(model.backbone(image))
    levels = {f"level_{index}": level for index, level in enumerate(pyramid)}
    return {name: value[0] for name, value in (levels | model.encode_for_masks(image, pyramid)).items()}


@torch.no_grad()
def _draft(model: PSALM, maps: Row) -> Row:
    levels = sorted(name for name in maps if name.startswith("level_"))
    generator = {name: value[None] for name, value in maps.items() if name not in levels}
    features = ImageFeatures(tuple(maps[name][None] for name in levels), torch.zeros(1, 0, 0), generator)
    seed_proposals: Any = getattr(model.mask_generator, "seed_proposals")  # noqa: B009  only some generators have it
    drafts = {name: value[0] for name, value in seed_proposals(features).items()}
    return {levels[-1]: maps[levels[-1]]} | drafts | {"masks": drafts["masks"] > 0}


def _pack(row: Row) -> Row:
    """Floats in half precision, booleans as bits."""
    packed: Row = {}
    for name, value in row.items():
        if value.dtype == torch.bool:
            packed[name] = torch.from_numpy(np.packbits(value.cpu().numpy(), axis=-1))
            packed[name + _PACKED] = torch.tensor(value.shape[-1])
        elif value.is_floating_point():
            packed[name] = value.detach().float().clamp(_HALF.min, _HALF.max).half().cpu().contiguous()
        else:
            packed[name] = value.cpu().contiguous()
    return packed


def _unpack(packed: Row, like: Tensor) -> Row:
    row: Row = {}
    for name, value in packed.items():
        if name.endswith(_PACKED):
            continue
        if name + _PACKED in packed:
            bits = np.unpackbits(value.numpy(), axis=-1, count=int(packed[name + _PACKED]))
            row[name] = torch.from_numpy(bits).bool().to(like.device)
        else:
            row[name] = value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)
    return row


def _rounded(row: Row) -> Row:
    return _unpack(_pack(row), next(iter(row.values())).float())


def encoder_hash(model: PSALM, drafts: bool = True) -> str:
    """A name for what makes the features of an image: the config, and the weights that take part.

    Without `drafts`, those that only draft masks do not count.

    Raises
    ------
    ConfigError
        When one of these weights is in training.
    """
    return _hash(model, _used_tensors(model, drafts))


def _hash(model: PSALM, used: dict[str, Tensor]) -> str:
    """See `encoder_hash`; `used` are the tensors that count."""
    trained = [name for name, tensor in used.items() if tensor.requires_grad]
    if trained:
        raise ConfigError(
            f"The stage caches features but trains {trained[0]}, which makes them: leave it out of train, or set "
            "cache: false."
        )
    digest = hashlib.sha256(json.dumps(model.config.to_dict(), sort_keys=True).encode())
    for name, value in sorted(used.items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class _Seen(TorchFunctionMode):
    """Remembers every tensor that a torch function is given."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by torch in place of `func`."""
        self.ids |= {id(leaf) for leaf in pytree.tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)}
        return func(*args, **(kwargs or {}))


def _used_tensors(model: PSALM, drafts: bool = True) -> dict[str, Tensor]:
    """Parameters and buffers that the features depend on, found by watching one image being encoded."""
    side = model.config.image_size
    noise = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    # Once only: what cuDNN prepares for one image takes it longer than to do without.
    with evaluating(model), torch.backends.cudnn.flags(enabled=False), _Seen() as seen:
        maps = _encode(model, noise.to(next(model.parameters()).device))
        if drafts and hasattr(model.mask_generator, "seed_proposals"):
            _draft(model, maps)
    parts: list[tuple[str, nn.Module]] = [("backbone", model.backbone), ("mask_generator", model.mask_generator)]  # type: ignore[list-item]
    if model.semantic_backbone is not None:
        parts.append(("semantic_backbone", model.semantic_backbone))
    named = {
        f"{part}.{name}": tensor
        for part, module in parts
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }
    return {name: tensor for name, tensor in named.items() if id(tensor) in seen.ids}
