"""The published mask generator: learned mask tokens, pixel decoder and transformer decoder (PSALM, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from psalm.config import PSALMConfig
from psalm.modeling.features import ConditionEmbeddings, Draft, ImageFeatures, Regions
from psalm.modeling.pixel_decoder import PixelDecoder
from psalm.modeling.transformer_decoder import TransformerDecoder
from psalm.proposals import MaskProposals


class Mask2FormerGenerator(nn.Module):
    """Mask2Former whose queries come out of the language model.

    It follows `psalm.modeling.features.MaskGenerator`.

    Parameters
    ----------
    config : PSALMConfig
        Sizes.
    in_channels : sequence of int
        Channels of the backbone levels res2 to res5.
    """

    def __init__(self, config: PSALMConfig, in_channels: Sequence[int]) -> None:
        super().__init__()
        self.seg_query = nn.Parameter(torch.empty(config.num_mask_tokens, config.lm_hidden))
        self.num_levels = len(in_channels) - 1
        self.pixel_decoder = PixelDecoder(config, in_channels)
        self.transformer_decoder = TransformerDecoder(config, self.num_levels)
        nn.init.normal_(self.seg_query, std=0.02)

    def encode(self, pyramid: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Run the pixel decoder.

        Parameters
        ----------
        pyramid : tuple of (B, C_i, h_i, w_i) tensors
            res2 to res5, finest first.

        Returns
        -------
        dict of tensors
            ``mask_features`` (B, mask_dim, h_2, w_2) and ``multi_scale_0`` to ``multi_scale_2``
            (B, hidden_dim, h_i, w_i), coarsest first.
        """
        mask_features, multi_scale = self.pixel_decoder(pyramid)
        return {"mask_features": mask_features} | {f"multi_scale_{i}": level for i, level in enumerate(multi_scale)}

    def draft(self, features: ImageFeatures, regions: Sequence[Regions] | None = None) -> Draft:
        """The learned mask tokens, the same for every image; regions are left to the model."""
        return Draft(tokens=self.seg_query.expand(len(features.image_tokens), -1, -1))

    def forward(
        self, features: ImageFeatures, draft: Draft, queries: Tensor, conditions: ConditionEmbeddings
    ) -> list[MaskProposals]:
        """Turn mask tokens into masks.

        Parameters
        ----------
        features : ImageFeatures
            The images, with what `encode` made of them in ``generator``.
        draft : Draft
            What `draft` gave; not needed again.
        queries : (B, Q, hidden_dim) tensor
            Projected output states of the mask tokens.
        conditions : ConditionEmbeddings
            What the masks are scored against.

        Returns
        -------
        list of MaskProposals
            The prediction before the first layer and after each one; the last is final, and the only one in torch's
            inference mode.
        """
        kept = features.generator
        multi_scale = [kept[f"multi_scale_{level}"] for level in range(self.num_levels)]
        return self.transformer_decoder(queries, kept["mask_features"], multi_scale, conditions)
