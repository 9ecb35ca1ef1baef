"""Methods on an encoder: new modules in its places, and which of its own parameters train."""

from __future__ import annotations

from importlib import import_module

from torch import nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper


def apply_method(encoder: Encoder, method: config.Method) -> None:
    """Freeze the backbone, then let the method add and unfreeze."""
    encoder.requires_grad_(False)
    for part in method.parts:
        import_module(part.module()).apply(encoder, part)
    if method.trains_final_norm:
        encoder.norm.requires_grad_(True)


def merge(model: nn.Module) -> None:
    """Fold what a method learned beside the backbone's weights into them, for inference.

    In place; the outputs stay the same. A wrapper without a `fold` stays, and those around it.
    """
    for owner in list(model.modules()):
        for name, child in list(owner.named_children()):
            setattr(owner, name, _merged(child))


def _merged(module: nn.Module) -> nn.Module:
    """From the inside out, since each wrapper folds into the module that it learned around."""
    if not isinstance(module, Wrapper):
        return module
    module.inner = _merged(module.inner)
    fold = getattr(module, "fold", None)
    return fold() if fold else module
