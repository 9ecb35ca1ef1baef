"""What a method learned beside the backbone's weights, folded into them for inference.

LoRA, DoRA, SSF and (IA)3 fold; what adapters, prompts, prefixes and mixtures add stays as it is.
"""

from __future__ import annotations

from torch import nn

from petl.backbones.encoder import Wrapper


def merge(model: nn.Module) -> None:
    """In place; the outputs stay what they were. There is nothing left to train, so do it last."""
    for owner in list(model.modules()):
        for name, child in list(owner.named_children()):
            setattr(owner, name, _merged(child))


def _merged(module: nn.Module) -> nn.Module:
    """Inside out, since each wrapper folds into what it was learned around."""
    if not isinstance(module, Wrapper):
        return module
    module.inner = _merged(module.inner)
    fold = getattr(module, "fold", None)
    return fold() if fold else module
