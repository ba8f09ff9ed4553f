"""The small model's mask generator: masks are drafted first, and the language model says what they are.

PSALM decouples mask proposals from their classification (section 3.2). Here the order is turned round: a two-way
decoder drafts masks around image-dependent seeds, or around the visual priors; every draft becomes a mask token; and
the condition embeddings classify the mask tokens' output states. A further class list or sentence on the same image
then costs the language model alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psalm.config import PSALMConfig
from psalm.modeling.box_agreement import agreed, heed_boxes
from psalm.modeling.features import ConditionEmbeddings, Draft, ImageFeatures, Regions
from psalm.modeling.fine_masks import FineMasks, enlarge
from psalm.modeling.mask_description import GEOMETRY, OUTLINE, WAVES, Standardise, describe_masks, waves
from psalm.modeling.prior_encoder import PriorEncoder
from psalm.modeling.sameness import Sameness
from psalm.modeling.seeds import SeedHead, pick_seeds, reach_loss
from psalm.modeling.two_way_decoder import MLP, NUM_MASKS, ChannelNorm, TwoWayDecoder
from psalm.proposals import MaskProposals

_KINDS = ("point", "scribble", "box", "mask")
_DUPLICATE_IOU = 0.75
_SEEDS_AT_ONCE = 4  # few enough for a processor's cache; a GPU takes all
_FORGOTTEN = 0.5  # share of a description that training leaves out: few photographs show a name
_NOT_MINE = -1e4  # logit of a proposal for a region that it was not drafted for


@dataclass(frozen=True)
class SecondDrafts:
    """What was drafted around the first drafts of N boxes.

    Parameters
    ----------
    rows, best : (N,) tensors
        Which region each box is, and which of its first drafts the second ones start from.
    masks, quality : (N, 4, h, w), (N, 4) tensors
        The second drafts and the decoder's estimate of their IoU.
    agreed : (N, h, w) tensor
        What all eight drafts agree on.
    state : (N, C) tensor
        Of the best second draft.
    """

    rows: Tensor
    best: Tensor
    masks: Tensor
    quality: Tensor
    agreed: Tensor
    state: Tensor


class TwoWayGenerator(nn.Module):
    """Draft masks, then classify them by the condition embeddings.

    Parameters
    ----------
    config : PSALMConfig
    in_channels : tuple of int
        Channels of the backbone levels (strides 4, 8, 16, 16).
    semantic_channels : int
        Channels of the semantic backbone; 0 when there is none.
    """

    def __init__(self, config: PSALMConfig, in_channels: tuple[int, ...], semantic_channels: int = 0) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.num_mask_tokens, self.num_seeds = config.num_mask_tokens, config.num_seeds
        self.neck = nn.Sequential(
            nn.Conv2d(in_channels[-1], dim, 1, bias=False),
            ChannelNorm(dim),
            nn.Conv2d(dim, dim, 3, padding=1, bias=False),
            ChannelNorm(dim),
        )
        self.seed_head = SeedHead(dim, in_channels[1], boxes=config.seed_boxes)
        self.prior_encoder = PriorEncoder(dim, config.image_size)
        self.decoder = TwoWayDecoder(dim, config.num_heads, config.decoder_ffn)
        self.fine_masks = FineMasks(dim, in_channels[0])
        start = 2 * dim + in_channels[1] + in_channels[0]
        self.semantic_columns = slice(start, start + semantic_channels)
        self.description_size = self.semantic_columns.stop + OUTLINE**2 + GEOMETRY
        self.token = nn.Sequential(
            Standardise(self.description_size),
            nn.Linear(self.description_size, 2 * config.lm_hidden),
            nn.GELU(),
            nn.Linear(2 * config.lm_hidden, config.lm_hidden),
        )
        self.geometry = nn.Linear((1 + 2 * WAVES) * GEOMETRY, config.lm_hidden)
        self.kind = nn.Embedding(len(_KINDS), config.lm_hidden)
        self.category_head = MLP(dim, dim, dim, 2)
        self.sentence_head = MLP(dim, dim, dim, 2)
        self.region_head = MLP(dim, dim, dim, 2)
        self.sameness = Sameness()
        # "The leftmost" compares places, which a product with the condition does at once: so where a mask lies meets
        # the words past the language model, too. A visual prior was heeded when the masks were drafted.
        self.place = nn.Linear((1 + 2 * WAVES) * GEOMETRY, dim)
        # Regions begin with the decoder's own judgement.
        zeros: list[nn.Module] = [self.region_head.layers[-1], self.place]
        # The semantic backbone was trained to tell things apart: what it sees needs no language model to meet a name.
        # Training may leave out what the language model says of names for a share of the questions.
        self.look: nn.Sequential | None = None
        self.look_alone = 0.0
        if semantic_channels:
            head = MLP(self.description_size, dim, dim, 2)
            self.look = nn.Sequential(nn.Dropout(_FORGOTTEN), head)
            zeros.append(head.layers[-1])
        for layer in zeros:
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    @property
    def standardise(self) -> Standardise:
        """What brings the numbers of a description to one scale."""
        first = self.token[0]
        if not isinstance(first, Standardise):
            raise TypeError("The first layer of the mask tokens is the standardisation.")
        return first

    def encode(self, pyramid: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The image embedding (B, C, H/16, W/16); the seeds' proposals join it when they are first needed."""
        return {"embedding": self.neck(pyramid[-1])}

    def draft(self, features: ImageFeatures, regions: Sequence[Regions] | None) -> Draft:
        """Draft around the visual priors where there are any, else around the seeds."""
        if regions is None:
            kept = self.seed_proposals(features)
            # Distinct masks come first; what is left of an image's places is empty.
            counts = kept["description"].any(2).sum(1).clamp(min=1)
            most = int(counts.max())
            state = {name: kept[name][:, :most] for name in ("masks", "quality")}
            description = kept["description"][:, :most]
            state["geometry"] = description[..., -GEOMETRY:]
            if self.look is not None:
                state["description"] = description
            return Draft(self._embed(description), state=state, counts=tuple(counts.tolist()))
        return self._draft_regions(features, regions)

    def forward(
        self, features: ImageFeatures, draft: Draft, queries: Tensor, conditions: ConditionEmbeddings
    ) -> list[MaskProposals]:
        """Classify the drafted masks; there is one prediction, hence a list of one."""
        heads = {"categories": self.category_head, "sentence": self.sentence_head, "regions": self.region_head}
        quality, masks = draft.state["quality"], draft.state["masks"]
        looks = heads[conditions.kind](queries)
        if self.training and self.look_alone and conditions.kind == "categories":
            looks = looks * (torch.rand(len(looks), 1, 1, device=looks.device) >= self.look_alone).to(looks.dtype)
        if conditions.kind != "regions":
            looks = looks + self.place(waves(draft.state["geometry"].to(queries.dtype)))
        if conditions.kind != "regions" and self.look is not None:
            looks = looks + self.look(self.standardise(draft.state["description"]).to(queries.dtype))
        logits = looks @ conditions.embeddings.mT
        if conditions.kind == "regions":
            owner = draft.state["owner"]
            mine = owner[..., None] == torch.arange(logits.shape[-1], device=owner.device)
            logits = torch.where(mine, logits + torch.logit(quality.clamp(0.02, 0.98))[..., None], _NOT_MINE)
            masks = self._drawn_finely(features, draft, logits)
        if masks.dtype in (torch.bool, torch.uint8):
            masks = masks.to(logits.dtype) * 20 - 10
        return [MaskProposals(masks, logits, conditions.num_conditions, quality)]

    def seed_proposals(self, features: ImageFeatures) -> dict[str, Tensor]:
        """Proposals around the seeds, computed once per image and kept in `features.generator`.

        Returns
        -------
        dict
            masks (B, Q, h, w) logits (or bool when they come from a cache), quality (B, Q), description (B, Q, F).
        """
        kept = features.generator
        if "masks" not in kept:
            with torch.no_grad():
                drafts = [self._seeds_of(features, b) for b in range(len(kept["embedding"]))]
                masks, quality, states = (torch.stack(parts) for parts in zip(*drafts, strict=True))
                description = describe_masks(self._maps(features), masks > 0, states, quality)
            kept.update(masks=masks, quality=quality, description=description)
        return {name: kept[name] for name in ("masks", "quality", "description")}

    def decode_seeds(self, features: ImageFeatures, b: int | Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Drafts around seeds.

        Parameters
        ----------
        features : ImageFeatures
        b : int or (N,) tensor
            The image of all seeds, or of each.
        seeds : (N, 2) tensor
            (row, column) in pixels of the model image.

        Returns
        -------
        masks (N, 4, h, w) logits, quality (N, 4), states (N, 4, C)
        """
        embedding = _of_images(features.generator["embedding"], b)
        image = embedding + self.prior_encoder.no_mask_embedding.weight[..., None, None]
        return self.decoder(image, self.prior_encoder.grid(*embedding.shape[-2:]), self.prior_encoder.seeds(seeds))

    def decode_regions(
        self, features: ImageFeatures, b: int | Tensor, regions: Regions, drafts: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Drafts around the regions of image `b`, or of images (R,), as `decode_seeds` gives them.

        Better ones than `drafts` (R, h, w), where there are any.
        """
        embedding = _of_images(features.generator["embedding"], b)
        grid = embedding.shape[-2:]
        sparse, dense = self.prior_encoder(regions, grid, drafts)
        return self.decoder(embedding + dense, self.prior_encoder.grid(*grid), sparse)

    def seed_loss(self, features: ImageFeatures, targets: Sequence[Tensor], exhaustive: Sequence[bool]) -> Tensor:
        """Loss of what the seed head tells of each image against the true maps (6, h, w), see `seed_targets`.

        Where not every object is labelled, only pixels inside labelled objects count.
        """
        logits, reach = self.seed_head(features.generator["embedding"], features.pyramid[1])
        true = torch.stack(list(targets))
        centres = true[:, 0]
        weight = torch.where(centres > 0, 1.0, torch.tensor([float(e) for e in exhaustive])[:, None, None].to(centres))
        loss = F.binary_cross_entropy_with_logits(logits.float(), centres, reduction="none")
        loss = (loss * weight).sum() / weight.sum().clamp(min=1)
        return loss if reach is None else loss + reach_loss(reach, true)

    def _maps(self, features: ImageFeatures) -> tuple[Tensor, ...]:
        maps = features.generator["embedding"], features.pyramid[1], features.pyramid[0]
        return (*maps, features.generator["semantic"]) if "semantic" in features.generator else maps

    def _embed(self, description: Tensor) -> Tensor:
        description = description.to(self.geometry.weight.dtype)
        return self.token(description) + self.geometry(waves(description[..., -GEOMETRY:]))

    def _seeds_of(self, features: ImageFeatures, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """The best distinct masks (Q, h, w) of one image with quality (Q,) and state (Q, C)."""
        centres, reach = self.seed_head(features.generator["embedding"][b : b + 1], features.pyramid[1][b : b + 1])
        seeds = pick_seeds(centres, self.num_seeds, reach)[0]
        at_once = _SEEDS_AT_ONCE if seeds.device.type == "cpu" else len(seeds)
        chunks = [self.decode_seeds(features, b, part) for part in seeds.split(at_once)]
        masks, quality, states = (torch.cat(part) for part in zip(*chunks, strict=True))
        # Seeds are points: of the four masks, the last three are meant for them.
        masks, quality, states = (x[:, 1:].flatten(0, 1) for x in (masks, quality, states))
        chosen = distinct_masks(masks > 0, quality, self.num_mask_tokens)
        spare = self.num_mask_tokens - len(chosen)
        return (
            F.pad(masks[chosen], (0, 0, 0, 0, 0, spare), value=-10.0),
            F.pad(quality[chosen].clamp(0, 1), (0, spare)),
            F.pad(states[chosen], (0, 0, 0, spare)),
        )

    def _draft_regions(self, features: ImageFeatures, regions: Sequence[Regions]) -> Draft:
        most, maps = max(len(r.kinds) for r in regions), self._maps(features)
        parts = [self._around(features, b, region, most) for b, region in enumerate(regions)]
        masks, quality, states, drawn, kinds, owner = (torch.stack(part) for part in zip(*parts, strict=True))
        description = describe_masks(maps, masks.detach() > 0, states, quality)
        blank = states.new_zeros(*drawn.shape[:2], states.shape[-1])
        region_tokens = self._embed(describe_masks(maps, drawn, blank, blank[..., 0])) + self.kind(kinds)
        state = {"masks": masks, "quality": quality, "owner": owner, "states": states}
        state["geometry"] = description[..., -GEOMETRY:]
        return Draft(self._embed(description), region_tokens, state)

    def draft_boxes_again(
        self, features: ImageFeatures, b: int | Tensor, regions: Regions, masks: Tensor, quality: Tensor
    ) -> SecondDrafts | None:
        """As many drafts again around the best one of each box among R regions; None without a box.

        Parameters
        ----------
        features : ImageFeatures
        b : int or (R,) tensor
            The image of all regions, or of each.
        regions : Regions
        masks, quality : (R, 4, h, w), (R, 4) tensors
            The first drafts, and their estimated IoU as `heed_boxes` gives it.
        """
        is_box = [i for i, kind in enumerate(regions.kinds) if kind == "box"]
        if not is_box:
            return None
        rows = torch.tensor(is_box, device=masks.device)
        best, boxes = quality[rows].argmax(1), regions.select(is_box)
        its_images = b if isinstance(b, int) else b[rows]
        again, its_quality, states = self.decode_regions(features, its_images, boxes, masks[rows, best].detach())
        heeded = heed_boxes(its_quality.clamp(0, 1), again.detach() > 0, boxes)
        mean = agreed(torch.cat([masks[rows], again], dim=1), torch.cat([quality[rows], heeded], dim=1))
        state = states[torch.arange(len(rows), device=rows.device), heeded.argmax(1)]
        return SecondDrafts(rows, best, again, its_quality, mean.to(masks.dtype), state)

    def _drawn_finely(self, features: ImageFeatures, draft: Draft, logits: Tensor) -> Tensor:
        """Masks (B, Q, 2h, 2w), the likeliest of each region with its outline drawn anew."""
        best = logits.argmax(1)  # (B, R)
        fine = []
        for b, chosen in enumerate(best):
            masks, states = draft.state["masks"][b], draft.state["states"][b]
            drawn = self.fine_masks(masks[chosen], states[chosen], features.pyramid[0][b])
            fine.append(enlarge(masks).index_copy(0, chosen, drawn.to(masks.dtype)))
        return torch.stack(fine)

    def _around(self, features: ImageFeatures, b: int, regions: Regions, most: int) -> tuple[Tensor, ...]:
        """Drafts around the regions of one image, padded to `most` regions.

        Returns
        -------
        masks (4R, h, w), quality (4R,), states (4R, C), drawn (R, h, w), kinds (R,), owner (4R,)
        """
        masks, quality, states = self.decode_regions(features, b, regions)
        quality = heed_boxes(quality.clamp(0, 1), masks.detach() > 0, regions)
        second = self.draft_boxes_again(features, b, regions, masks, quality)
        if second is not None:
            best = second.rows, second.best
            masks, states = masks.index_put(best, second.agreed), states.index_put(best, second.state)
        device = masks.device
        cover = F.interpolate(regions.masks[:, None].float().to(device), masks.shape[-2:], mode="area")
        kinds = torch.tensor([_KINDS.index(kind) for kind in regions.kinds], device=device)
        spare = most - len(kinds)
        owner = F.pad(torch.arange(len(kinds), device=device), (0, spare), value=-1)
        return (
            F.pad(masks, (0, 0, 0, 0, 0, 0, 0, spare), value=-10.0).flatten(0, 1),
            F.pad(quality, (0, 0, 0, spare)).flatten(),
            F.pad(states, (0, 0, 0, 0, 0, spare)).flatten(0, 1),
            F.pad(cover[:, 0] > 0, (0, 0, 0, 0, 0, spare)),
            F.pad(kinds, (0, spare)),
            owner.repeat_interleave(NUM_MASKS),
        )


def _of_images(maps: Tensor, b: int | Tensor) -> Tensor:
    """Of maps (B, ...) that of one image (1, ...), which many prompts then share, or those of several (N, ...)."""
    return maps[b : b + 1] if isinstance(b, int) else maps[b]


def distinct_masks(masks: Tensor, quality: Tensor, count: int) -> Tensor:
    """Indices of at most `count` masks of (N, h, w), best first, none nearly equal to a better one or empty."""
    flat = masks.flatten(1).float()
    area = flat.sum(1)
    shared = flat @ flat.T
    iou = shared / (area[:, None] + area[None] - shared).clamp(min=1)
    order = quality.argsort(descending=True).tolist()
    duplicate, empty = (iou > _DUPLICATE_IOU).cpu().numpy(), (area == 0).tolist()
    kept: list[int] = []
    for i in order:
        if not empty[i] and not duplicate[i, kept].any():
            kept.append(i)
            if len(kept) == count:
                break
    return torch.tensor(kept, device=masks.device, dtype=torch.long)
