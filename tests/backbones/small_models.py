"""Shapes of small models, what asks for them, and how near two outputs are."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from petl import config

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
AST = SIZE | {"max_length": 128, "frequency_stride": 10, "time_stride": 12}
VIT = SIZE | {"image_size": [128, 96]}
WAVES = SIZE | {
    "conv_dim": [16, 24, 16],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LARGE_WAVES = WAVES | {
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "num_conv_pos_embeddings": 15,
}


def perturb(model: nn.Module, seed: int = 0) -> None:
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=draws))


def ast(source: Path, how: str = "interpolate") -> config.AST:
    return config.AST(family="ast", source=str(source), position_embeddings=how, pooling="all")


def vit(source: Path, how: str = "interpolate") -> config.ViT:
    return config.ViT(family="vit", source=str(source), position_embeddings=how, pooling="all")


def wav2vec2(source: Path, dropout: str = "none") -> config.Wav2Vec2:
    return config.Wav2Vec2(family="wav2vec2", source=str(source), dropout=dropout)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def deviation(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest, absolute or relative, whichever is smaller."""
    assert ours.shape == theirs.shape
    return float(((ours - theirs).abs() / theirs.abs().clamp(min=1)).max())
