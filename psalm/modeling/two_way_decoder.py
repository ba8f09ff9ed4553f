"""The two-way mask decoder: prompt tokens and image attend to each other (Segment Anything, section 3 and appendix A).

It decodes every prompt by itself, so any number of prompts on one image are independent of each other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_MASKS = 4  # one mask for a clear prompt, then three for whole, part and subpart


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than its tokens'."""

    def __init__(self, dim: int, inner: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(
        self, query: Tensor, key: Tensor, query_pe: Tensor | None = None, key_pe: Tensor | None = None
    ) -> Tensor:
        """Attend from (N or 1, T, C) to (N or 1, P, C); a leading 1 is shared by all N and projected only once.

        Position encodings join queries and keys after their projection, which equals adding them before and spares
        large temporary tensors.
        """
        few, many = sorted((query.shape[1], key.shape[1]))
        # Work on the longer side is what costs. A GPU has other costs, and was measured with the usual order.
        if query.device.type == "cpu" and few < many and self.num_heads * few < self.q_proj.out_features:
            if query.shape[1] == many:
                return self._many_to_few(query, key, query_pe, key_pe)
            if len(key) == len(query):
                return self._few_to_many(query, key, query_pe, key_pe)
        q, k, v = (
            self._projected(self.q_proj, query, query_pe),
            self._projected(self.k_proj, key, key_pe),
            self.v_proj(key),
        )
        n = max(len(q), len(k))
        q, k, v = (self._heads(x).transpose(1, 2).expand(n, -1, -1, -1) for x in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def _few_to_many(self, query: Tensor, key: Tensor, query_pe: Tensor | None, key_pe: Tensor | None) -> Tensor:
        """The same, with the keys' projections applied to the few queries and to what they have seen.

        The keys' bias adds the same to all scores of a query, so it changes nothing.
        """
        q = self._heads(self._projected(self.q_proj, query, query_pe))
        weight = self.k_proj.weight.unflatten(0, (self.num_heads, -1))
        asked = torch.einsum("nthd,hdc->nhtc", q, weight).flatten(1, 2) * self._scale
        scores = asked @ (key if key_pe is None else key + key_pe).mT
        seen = (scores.softmax(-1) @ key).unflatten(1, (self.num_heads, -1))
        weight = self.v_proj.weight.unflatten(0, (self.num_heads, -1))
        values = torch.einsum("nhtc,hdc->nthd", seen, weight).flatten(2)
        return self.out_proj(values + self.v_proj.bias)

    def _many_to_few(self, query: Tensor, key: Tensor, query_pe: Tensor | None, key_pe: Tensor | None) -> Tensor:
        """The same, with the queries' projection and that of what comes out applied to the few keys and values."""
        heads = (self.num_heads, -1)
        k, v = self._heads(self._projected(self.k_proj, key, key_pe)) * self._scale, self._heads(self.v_proj(key))
        if len(query) < len(key):  # shared by all, so it is projected only once
            q = self._heads(self._projected(self.q_proj, query, query_pe))[0]
            scores = torch.einsum("phd,nthd->nhtp", q, k)
        else:
            told = torch.einsum("nthd,hdc->nhtc", k, self.q_proj.weight.unflatten(0, heads)).flatten(1, 2)
            offset = torch.einsum("nthd,hd->nht", k, self.q_proj.bias.unflatten(0, heads)).flatten(1)
            asking = query if query_pe is None else query + query_pe
            scores = torch.baddbmm(offset[..., None], told, asking.mT).unflatten(1, heads)
        shares = scores.softmax(2).flatten(1, 2)  # (N, heads * T, P): the last axis is the one that is worked along
        values = torch.einsum("nthd,chd->nhtc", v, self.out_proj.weight.unflatten(1, heads)).flatten(1, 2)
        return torch.baddbmm(self.out_proj.bias.expand(1, 1, -1), shares.mT, values)

    @property
    def _scale(self) -> float:
        return float((self.q_proj.out_features // self.num_heads) ** -0.5)

    @staticmethod
    def _projected(projection: nn.Linear, x: Tensor, encoding: Tensor | None) -> Tensor:
        projected: Tensor = projection(x)
        return projected if encoding is None else projected + F.linear(encoding, projection.weight)

    def _heads(self, x: Tensor) -> Tensor:
        """(N, T, inner) as (N, T, heads, inner / heads)."""
        return x.unflatten(2, (self.num_heads, -1))


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, dim: int, hidden: int, out: int, depth: int) -> None:
        super().__init__()
        sizes = [dim] + [hidden] * (depth - 1) + [out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map the last axis from `dim` to `out`."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class TwoWayBlock(nn.Module):
    """Tokens attend to tokens, tokens to image, and the image back to the tokens."""

    def __init__(self, dim: int, num_heads: int, ffn: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, dim, num_heads)
        self.cross_attn_token_to_image = Attention(dim, dim // 2, num_heads)
        self.cross_attn_image_to_token = Attention(dim, dim // 2, num_heads)
        self.mlp = MLP(dim, ffn, dim, 2)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(dim) for _ in range(4))

    def forward(self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Update tokens (N, T, C) and image (N or 1, P, C); position encodings are added to queries and keys."""
        if self.first:  # the first block replaces the tokens: they are their own position encoding
            tokens = self.self_attn(tokens, tokens)
        else:
            tokens = tokens + self.self_attn(tokens, tokens, token_pe, token_pe)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens, image, token_pe, image_pe))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image, tokens, image_pe, token_pe))
        return tokens, image


class ChannelNorm(nn.Module):
    """Layer norm over the channels of an (N, C, H, W) map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel's channels."""
        normed = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return normed.permute(0, 3, 1, 2)


class TwoWayDecoder(nn.Module):
    """Masks for prompts, each decoded by itself.

    Parameters
    ----------
    dim : int
        Width of tokens and image embedding.
    num_heads : int
    ffn : int
        Hidden width of the token MLPs.
    depth : int
        Number of two-way blocks.
    """

    def __init__(self, dim: int = 256, num_heads: int = 8, ffn: int = 2048, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, num_heads, ffn, first=i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(dim, dim // 2, num_heads)
        self.norm_final_attn = nn.LayerNorm(dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(NUM_MASKS, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, 2),
            ChannelNorm(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim // 8, 3) for _ in range(NUM_MASKS))
        self.iou_prediction_head = MLP(dim, dim, NUM_MASKS, 3)

    def forward(self, image: Tensor, image_pe: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decode N prompts on one image.

        Parameters
        ----------
        image : (N or 1, C, h, w) tensor
            Image embedding with the dense prompt added; one for all prompts, or one each.
        image_pe : (1, C, h, w) tensor
            Position encoding of the grid.
        prompts : (N, T, C) tensor
            Sparse prompt tokens.

        Returns
        -------
        mask_logits : (N, 4, 4h, 4w) tensor
        quality : (N, 4) tensor
            Predicted IoU of each mask.
        tokens : (N, 4, C) tensor
            Output state behind each mask.
        """
        h, w = image.shape[-2:]
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([output_tokens.expand(len(prompts), -1, -1), prompts], dim=1)
        keys, pe, token_pe = image.flatten(2).mT, image_pe.flatten(2).mT, tokens
        for layer in self.layers:
            tokens, keys = layer(tokens, keys, token_pe, pe)
        attended = self.final_attn_token_to_image(tokens, keys, token_pe, pe)
        tokens = self.norm_final_attn(tokens + attended)
        mask_tokens = tokens[:, 1 : 1 + NUM_MASKS]
        upscaled = self.output_upscaling(keys.mT.unflatten(2, (h, w)))
        kernels = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)
        mask_logits = torch.einsum("nkc,nchw->nkhw", kernels, upscaled)
        return mask_logits, self.iou_prediction_head(tokens[:, 0]), mask_tokens
