"""wav2vec 2.0: convolutions turn a waveform into frames, and a wide one encodes positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.boxes import Box, leaf, steps, tokens
from petl.backbones.encoder import Dropout, Encoder, Geometry, drop
from petl.backbones.naming import Naming
from petl.errors import UserError

_WEIGHT_NORM = "encoder.pos_conv_embed.conv.parametrizations.weight."
EXPECTED = {
    "model_type": "wav2vec2",
    "add_adapter": False,
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
}
NAMING = Naming(
    table={
        "tokens.features.#.conv": "feature_extractor.conv_layers.#.conv",
        "tokens.features.#.norm": "feature_extractor.conv_layers.#.layer_norm",
        "tokens.norm_features": "feature_projection.layer_norm",
        "tokens.project": "feature_projection.projection",
        "tokens.position.gain": "encoder.pos_conv_embed.conv.weight_g",
        "tokens.position.direction": "encoder.pos_conv_embed.conv.weight_v",
        "tokens.position.bias": "encoder.pos_conv_embed.conv.bias",
        "tokens.norm": "encoder.layer_norm",
        "norm": "encoder.layer_norm",
        "layers.#.attention.qkv.linear": (
            "encoder.layers.#.attention.q_proj",
            "encoder.layers.#.attention.k_proj",
            "encoder.layers.#.attention.v_proj",
        ),
        "layers.#.attention.out": "encoder.layers.#.attention.out_proj",
        "layers.#.norm_attention": "encoder.layers.#.layer_norm",
        "layers.#.ffn.up": "encoder.layers.#.feed_forward.intermediate_dense",
        "layers.#.ffn.down": "encoder.layers.#.feed_forward.output_dense",
        "layers.#.norm_ffn": "encoder.layers.#.final_layer_norm",
    },
    newer={  # PyTorch's own weight normalisation changed its names
        "tokens.position.gain": _WEIGHT_NORM + "original0",
        "tokens.position.direction": _WEIGHT_NORM + "original1",
    },
    prefix="wav2vec2.",
    leftovers=(
        *("masked_spec_embed", "quantizer.", "project_hid.", "project_q."),  # of its pre-training
        *("lm_head.", "projector.", "classifier."),
    ),
)


class FeatureLayer(nn.Module):
    """A strided convolution over time, normalised per channel, per frame, or not at all."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, bias: bool, norm: str):
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, bias=bias)
        self.norm: nn.Module = nn.Identity()
        self.per_frame = norm == "layer"
        if norm != "none":
            self.norm = nn.LayerNorm(outputs) if self.per_frame else nn.GroupNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.norm(x.transpose(1, 2)).transpose(1, 2) if self.per_frame else self.norm(x)
        return F.gelu(x)


class PositionalConvolution(nn.Module):
    """A convolution over the frames around each one, in place of position embeddings.

    Its weight is normalised per tap t: w_t = g_t v_t / |v_t|. PyTorch's own weight_norm has changed
    its tensors' names between versions, so the formula is written out here.
    """

    def __init__(self, hidden: int, kernel: int, groups: int):
        super().__init__()
        self.groups = groups
        self.gain = nn.Parameter(torch.empty(1, 1, kernel))
        self.direction = nn.Parameter(torch.empty(hidden, hidden // groups, kernel))
        self.bias = nn.Parameter(torch.empty(hidden))

    def forward(self, h: Tensor) -> Tensor:
        weight = self.direction * (self.gain / self.direction.norm(dim=(0, 1), keepdim=True))
        padding = weight.shape[-1] // 2
        x = F.conv1d(h.transpose(1, 2), weight, self.bias, padding=padding, groups=self.groups)
        return F.gelu(x[:, :, : h.shape[1]]).transpose(1, 2)  # an even kernel gives one too many


class WaveTokens(nn.Module):
    """Waveforms (batch, samples) at 16 kHz -> tokens, one for every 20 ms."""

    special = 0

    def __init__(self, c: dict[str, Any], shape: Geometry):
        super().__init__()
        self.features = nn.ModuleList(_feature_layers(c))
        self.norm_features = nn.LayerNorm(c["conv_dim"][-1], eps=shape.eps)
        self.project = nn.Linear(c["conv_dim"][-1], shape.hidden)
        self.position = PositionalConvolution(
            shape.hidden, c["num_conv_pos_embeddings"], c["num_conv_pos_embedding_groups"]
        )
        post = shape.norm == "post"
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.eps) if post else nn.Identity()
        self.dropout = shape.dropout

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 2:
            raise UserError(f"wav2vec 2.0 reads waveforms (batch, samples), not {tuple(x.shape)}")
        x = x.unsqueeze(1)
        for layer in self.features:
            x = layer(x)
        h = self.project(self.norm_features(x.transpose(1, 2)))
        h = drop(h, self.dropout.features, self.training)
        h = self.norm(h + self.position(h))
        return drop(h, self.dropout.hidden, self.training)

    def boxes(self, name: str) -> Box:
        return steps(leaf(self, "Embeddings", "of a waveform"), tokens(rest="frames, 20 ms each"))


def _feature_layers(c: dict[str, Any]) -> list[FeatureLayer]:
    """`group` normalises the first layer alone, `layer` every one."""
    widths, kind = [1, *c["conv_dim"]], c["feat_extract_norm"]
    return [
        FeatureLayer(
            *(widths[i], widths[i + 1], c["conv_kernel"][i], c["conv_stride"][i], c["conv_bias"]),
            norm=kind if kind == "layer" or i == 0 else "none",
        )
        for i in range(c["num_feat_extract_layers"])
    ]


def shape_of(c: dict[str, Any], dropout: Dropout) -> Geometry:
    return Geometry(
        hidden=c["hidden_size"],
        layers=c["num_hidden_layers"],
        heads=c["num_attention_heads"],
        mlp=c["intermediate_size"],
        eps=c["layer_norm_eps"],
        norm="pre" if c["do_stable_layer_norm"] else "post",
        dropout=dropout,
    )


def dropout_of(c: dict[str, Any]) -> Dropout:
    return Dropout(
        features=c["feat_proj_dropout"],
        hidden=c["hidden_dropout"],
        attention=c["attention_dropout"],
        activation=c["activation_dropout"],
        layer=c["layerdrop"],
    )


def make(c: dict[str, Any], settings: config.Wav2Vec2 | None) -> Encoder:
    """It reads clips of any length. The masks of its pre-training are off, as in the released code.

    Without settings there is no dropout, which a config that only gives the shape may leave out.
    """
    drops = settings is not None and settings.dropout == "checkpoint"
    shape = shape_of(c, dropout_of(c) if drops else Dropout())
    return Encoder(shape, WaveTokens(c, shape))
