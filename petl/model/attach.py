"""A method on the library's own AST, changed in place: `petl.attach(model, "lora")`.

The layers of the library's model are replaced by ours, with its weights, and the method is put into
them as into any of our encoders. So every method works, in the same code as in a study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones import ast
from petl.backbones.encoder import Encoder
from petl.backbones.library import expect
from petl.backbones.naming import load_library
from petl.config.python import Profile, method_of
from petl.errors import UserError
from petl.methods.apply import apply_method

AST = TypeVar("AST", bound=nn.Module)


def attach(
    model: AST,
    method: str | Mapping[str, Any] | config.Method,
    *,
    profile: Profile = "as-intended",
    **settings: Any,
) -> AST:
    """Put a method into an ASTModel or ASTForAudioClassification of transformers, in place.

    `method` is a preset's name, such as "lora", or settings as in a study, such as
    `{"family": "ia3"}`. Further settings go over them: `attach(model, "lora", reduction=64)`.

    Everything is frozen but the method and the classifier. Make the optimiser afterwards: the
    model's layers are new modules. They give no attention weights and take no head mask.
    """
    inside = _ast_in(model)
    chosen = method_of(method, profile, **settings)
    encoder = _encoder(inside)
    apply_method(encoder, chosen)
    like = next(inside.parameters())
    encoder.to(like.device, like.dtype).train(model.training)
    model.requires_grad_(False)
    _put_in(inside, encoder)
    if inside is not model:
        model.classifier.requires_grad_(True)
    return model


def _ast_in(model: nn.Module) -> nn.Module:
    """The ASTModel that it is or contains."""
    from transformers import ASTForAudioClassification, ASTModel

    if not isinstance(model, ASTForAudioClassification | ASTModel):
        raise UserError(
            "petl.attach takes an ASTModel or an ASTForAudioClassification of transformers, not "
            f"'{type(model).__name__}'; petl.build makes a model of any backbone that petl knows"
        )
    inside: nn.Module = model.base_model
    if any(isinstance(module, InLibrary) for module in inside.modules()):
        raise UserError(
            "this model has a method already; load it again to attach another one, or attach "
            "several at once with a preset such as 'lora-and-conformer'"
        )
    return inside


def _encoder(inside: Any) -> Encoder:
    """Ours, with the weights of the library's."""
    source, c = type(inside).__name__, inside.config.to_dict()
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    expect(c, source, **ast.EXPECTED, **no_dropout)
    encoder = ast.make(c, None)
    load_library(encoder.state_dict(), inside.state_dict(), ast.NAMING, source)
    return encoder


def _put_in(inside: Any, encoder: Encoder) -> None:
    inside.embeddings, inside.layernorm = encoder.tokens, encoder.norm
    theirs = inside.layers if hasattr(inside, "layers") else inside.encoder.layer
    kind = type(theirs[0])
    with torch.no_grad():  # versions of the library differ in what a layer returns
        returned = theirs[0](next(inside.parameters()).new_zeros(1, 1, encoder.shape.hidden))
    # a subclass of theirs, because the library finds the layers by their class
    replacement = type(kind.__name__, (InLibrary, kind), {})
    for i, layer in enumerate(encoder.layers):
        theirs[i] = replacement(layer, isinstance(returned, tuple))


class InLibrary(nn.Module):
    """One of our layers in the place of the library's."""

    def __init__(self, layer: nn.Module, as_tuple: bool):
        nn.Module.__init__(self)
        self.ours, self.as_tuple = layer, as_tuple

    def forward(self, hidden_states: Tensor, mask: Any = None, *more: Any, **named: Any) -> Any:
        if mask is not None or any(more):
            raise UserError("a model with a method takes no mask and gives no attention weights")
        out = self.ours(hidden_states)
        return (out,) if self.as_tuple else out
