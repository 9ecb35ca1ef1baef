"""What of a model no training step changes, so that it can be computed once for each clip.

Model.reads   what was computed
-----------   -----------------------------------------------------------------------------
clips         nothing
k             the tokens that enter layer k, or for k = layers those that leave the last one
mean          the mean of the tokens that the head reads, after the final LayerNorm has
              normalised them: its gain and bias act after the mean, so that they may train
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl.model.build import Model, Reads


def frozen_up_to(model: Model) -> Reads:
    """The last point before which nothing trains and nothing is random."""
    encoder = model.backbone
    if any(astuple(encoder.shape.dropout)) or _changes(encoder.tokens):
        return "clips"
    for index, layer in enumerate(encoder.layers):
        if _changes(layer):
            return index
    plain = isinstance(encoder.norm, nn.LayerNorm | nn.Identity)
    if model.attentive is not None or not plain or (model.norm_again and _changes(encoder.norm)):
        return len(encoder.layers)
    return "mean"


def _changes(module: nn.Module) -> bool:
    kinds = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
    trains = any(p.requires_grad for p in module.parameters())
    return trains or any(isinstance(part, kinds) for part in module.modules())


@torch.no_grad()
def output(model: Model, x: Tensor, reads: Reads) -> Tensor:
    """What the frozen part makes of clips: (clips, tokens, hidden), one token if it is the mean."""
    encoder = model.backbone
    if isinstance(reads, int):
        return encoder.below(x, reads)
    h, norm = encoder.below(x, len(encoder.layers)), encoder.norm
    if model.norm_again:
        h = norm(h)
    if isinstance(norm, nn.LayerNorm):
        h = F.layer_norm(h, norm.normalized_shape, eps=norm.eps)
    return model.chosen(h).mean(dim=1, keepdim=True)


def digest(model: Model, reads: Reads) -> str:
    """Of all in the model that this output depends on."""
    encoder = model.backbone
    layers = encoder.layers[: reads if isinstance(reads, int) else None]
    parts = [encoder.tokens, *layers]
    facts = [str(reads), repr(encoder.shape)]
    if reads == "mean":
        facts += [model.pooling, str(model.prompts), str(model.norm_again), repr(encoder.norm)]
        parts += [encoder.norm] if model.norm_again else []
    found = hashlib.sha256("\n".join(facts).encode())
    for part in parts:
        found.update(repr(part).encode())
        for name, tensor in part.state_dict().items():
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().numpy())
    return found.hexdigest()
