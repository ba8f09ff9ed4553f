"""PSALM: the paper's figure 2 as code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from psalm.config import PSALMConfig
from psalm.errors import ConditionError
from psalm.modeling.condition_pooling import pool_conditions
from psalm.modeling.features import ConditionEmbeddings, Draft, ImageFeatures, MaskGenerator, Regions
from psalm.modeling.input_sequence import InputSequence, assemble, fill_in
from psalm.modeling.language_model import LanguageModel, PrefixCache
from psalm.modeling.mask_generator import Mask2FormerGenerator
from psalm.modeling.phi import KeysValues
from psalm.modeling.projector import Projector
from psalm.modeling.region_sampler import draw_points, pool_masks, pool_points
from psalm.modeling.semantic_backbone import SemanticBackbone
from psalm.modeling.swin import SwinBackbone
from psalm.modeling.tiny_vit import TinyViTBackbone
from psalm.modeling.two_way_generator import TwoWayGenerator
from psalm.modeling.upload import upload
from psalm.prompts import ConditionKind, Prompt
from psalm.proposals import MaskProposals


class PSALM(nn.Module):
    """Pixelwise segmentation with a large multi-modal model (PSALM, section 3).

    The image is encoded once; any number of prompts may then be asked of its features.

    Parameters
    ----------
    config : PSALMConfig
        The defaults are the published model.
    """

    def __init__(self, config: PSALMConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = _backbone(config)
        channels = self.backbone.channels
        self.projector = Projector(channels[-1], config.projector_dim, config.lm_hidden, config.image_token_pool)
        self.language_model = LanguageModel(config)
        self.semantic_backbone = SemanticBackbone(config) if config.semantic_backbone else None
        self.mask_generator: MaskGenerator = _mask_generator(config, channels, self.semantic_backbone)
        self.query_projector = nn.Linear(config.lm_hidden, config.hidden_dim)
        self.category_projector = nn.Linear(config.lm_hidden, config.hidden_dim)
        self.sentence_projector = nn.Linear(config.lm_hidden, config.hidden_dim)
        self.region_projector = nn.Linear(config.lm_hidden, config.hidden_dim)

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Compute all that depends on the images alone.

        Parameters
        ----------
        images : (B, 3, S, S) tensor
            Normalised, padded right and bottom; see `psalm.image_transform`.
        """
        pyramid = tuple(self.backbone(images))
        return ImageFeatures(pyramid, self.projector(pyramid[-1]), self.encode_for_masks(images, pyramid))

    def encode_for_masks(self, images: Tensor, pyramid: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """What the mask generator needs of the images, beside the levels of the backbone."""
        kept = self.mask_generator.encode(pyramid)
        if self.semantic_backbone is not None:
            kept["semantic"] = self.semantic_backbone(images)
        return kept

    def propose(
        self,
        features: ImageFeatures,
        prompts: Sequence[Prompt],
        regions: Sequence[Regions] | None = None,
        *,
        reference: ImageFeatures | None = None,
        prefix: PrefixCache | None = None,
    ) -> list[MaskProposals]:
        """Mask proposals and how well each meets each condition.

        Parameters
        ----------
        features : ImageFeatures
            Of B images.
        prompts : sequence of B Prompt
            All of one kind; numbers of conditions may differ.
        regions : sequence of B Regions, optional
            Needed by prompts with regions.
        reference : ImageFeatures, optional
            Of the images on which the regions were drawn, where these are others (a frame of a video, say).
        prefix : PrefixCache, optional
            From `read_prefix`, to spare reading the image and the instruction again. One from `read_opening` covers
            less; what is read on the way to the condition is then put into ``features.prefixes``.

        Returns
        -------
        list of MaskProposals
            The final ones last; before them the auxiliary ones for deep supervision.

        Raises
        ------
        ConditionError
            When numbers of images, prompts and regions do not fit, kinds of prompt are mixed, or a region is too small.
        """
        kind = _check(features, prompts, regions)
        if prefix is not None:
            _check_prefix(prefix, prompts)
        draft = self.mask_generator.draft(features, regions)
        region_tokens = draft.region_tokens
        if region_tokens is None and regions is not None:
            region_tokens = self.pool_regions(reference or features, regions)
        embed = self.language_model.embed_tokens
        direct = self.config.mask_token_path == "direct"
        counts = [0] * len(prompts) if direct else _num_mask_tokens(draft, prompts)
        sequence = assemble(prompts, embed, features.image_tokens, draft.tokens, region_tokens, counts)
        unread = prefix is not None and prefix.token_ids != prompts[0].prefix
        kept: list[KeysValues] | None = [] if unread else None
        states = self.language_model(sequence, prefix, kept)
        if kept is not None:
            features.prefixes[prompts[0].prefix] = PrefixCache.begin(kept, sequence.prefix_length, prompts[0].prefix)
        queries = self.query_projector(draft.tokens if direct else sequence.mask_token_states(states))
        conditions = self.embed_conditions(states, sequence, kind)
        return self.mask_generator(features, draft, queries, conditions)

    def forward(
        self, images: Tensor, prompts: Sequence[Prompt], regions: Sequence[Regions] | None = None
    ) -> list[MaskProposals]:
        """`encode_image`, then `propose`."""
        return self.propose(self.encode_image(images), prompts, regions)

    def embed_conditions(self, states: Tensor, sequence: InputSequence, kind: ConditionKind) -> ConditionEmbeddings:
        """Pool and project the conditions among the last hidden states (B, L, lm_hidden)."""
        projector, pooling = {
            "categories": (self.category_projector, self.config.category_pooling),
            "sentence": (self.sentence_projector, self.config.sentence_pooling),
            "regions": (self.region_projector, "average"),
        }[kind]
        counts = tuple(len(spans) for spans in sequence.conditions)
        embeddings = projector(pool_conditions(states, sequence.conditions, pooling))
        real = upload(np.arange(embeddings.shape[1]) < np.array(counts)[:, None], embeddings.device)
        return ConditionEmbeddings(embeddings * real[..., None].to(embeddings), counts, kind)

    def pool_regions(self, features: ImageFeatures, regions: Sequence[Regions]) -> Tensor:
        """One (B, R, lm_hidden) embedding per region, padded with zeros to the most regions of the batch."""
        pooled = []
        for tokens, region in zip(features.image_tokens, regions, strict=True):
            masks = region.masks.to(tokens.device)
            if not masks.flatten(1).any(dim=1).all():
                raise ConditionError("A region vanishes at the size the model sees: draw it larger.")
            if self.config.region_pooling == "points":
                pooled.append(pool_points(tokens, draw_points(masks, self.config.region_sample_points)))
            else:
                pooled.append(pool_masks(tokens, masks))
        return nn.utils.rnn.pad_sequence(pooled, batch_first=True)

    def read_prefix(self, features: ImageFeatures, prompt: Prompt, opening: PrefixCache | None = None) -> PrefixCache:
        """Let the language model read the images and the instruction of `prompt` once.

        The result serves every prompt of the same kind (equal `Prompt.prefix`) on the same features. An `opening` from
        `read_opening` spares reading the words before the image.
        """
        embed = self.language_model.embed_tokens
        rows, _ = fill_in([prompt.prefix] * len(features.image_tokens), embed, features.image_tokens)
        return self.language_model.read_prefix(rows, prompt.prefix, opening)

    def read_opening(self, prompt: Prompt) -> PrefixCache:
        """Let the language model read the words before the image, which are the same for every image."""
        ids = torch.tensor([prompt.opening], device=self.query_projector.weight.device)
        return self.language_model.read_prefix(self.language_model.embed_tokens(ids), prompt.opening)


def _backbone(config: PSALMConfig) -> SwinBackbone | TinyViTBackbone:
    return SwinBackbone(config) if config.backbone == "swin" else TinyViTBackbone(config)


def _mask_generator(config: PSALMConfig, channels: tuple[int, ...], semantic: SemanticBackbone | None) -> MaskGenerator:
    if config.mask_generator == "mask2former":
        return Mask2FormerGenerator(config, channels)
    return TwoWayGenerator(config, channels, semantic.channels if semantic is not None else 0)


def _num_mask_tokens(draft: Draft, prompts: Sequence[Prompt]) -> Sequence[int] | None:
    """How many mask tokens of each image are real; for regions, the generator drafts the same number for every one.

    The padding of a batch must not enter the sequence: mask tokens may see each other.
    """
    if draft.region_tokens is None:
        return draft.counts
    per_region = draft.tokens.shape[1] // draft.region_tokens.shape[1]
    return [per_region * prompt.num_conditions for prompt in prompts]


def _check_prefix(prefix: PrefixCache, prompts: Sequence[Prompt]) -> None:
    """All prompts begin with what was read, and share what is to be kept of them."""
    read, shared = prefix.token_ids, prompts[0].prefix
    if shared[: len(read)] != read or any(prompt.prefix != shared for prompt in prompts):
        raise ConditionError("The prefix was read for another kind of prompt: read it again for these prompts.")


def _check(features: ImageFeatures, prompts: Sequence[Prompt], regions: Sequence[Regions] | None) -> ConditionKind:
    """The kind that all prompts share, once numbers fit."""
    images, kinds = len(features.image_tokens), {prompt.kind for prompt in prompts}
    if len(prompts) != images:
        raise ConditionError(f"{len(prompts)} prompts for {images} images: give one prompt per image.")
    if len(kinds) > 1:
        raise ConditionError(f"A batch mixes {', '.join(sorted(kinds))}: make one batch per kind of condition.")
    kind = prompts[0].kind
    if kind == "regions":
        if regions is None or len(regions) != images:
            raise ConditionError(f"{len(regions or ())} sets of regions for {images} images: give one per image.")
        for i, (prompt, region) in enumerate(zip(prompts, regions, strict=True), 1):
            if len(region.masks) != prompt.num_conditions:
                raise ConditionError(
                    f"Image {i} has {len(region.masks)} regions, but its prompt asks for {prompt.num_conditions}: "
                    "build the prompt from the same regions."
                )
    elif regions is not None:
        raise ConditionError(f"Regions were given to prompts with {kind}: leave them out.")
    return kind
