"""An AST pre-trained by reconstruction: `encoder.` in front of the library's names.

encoder.embeddings.*  encoder.encoder.layer.N.*  encoder.layernorm.*     the AST
projector.*  decoder.*                                                   of the pre-training
"""

from __future__ import annotations

from typing import Any

from petl.backbones.layouts.translated import Tensors, Translated, said, split

NAME = "an AST inside a model for reconstruction"
MARK = r"encoder\.encoder\."
UNUSED = ("projector.", "decoder.", "classifier.", "head.")


def translate(tensors: Tensors, config: dict[str, Any]) -> Translated:
    """`encoder.layer` is the library's own, so one `encoder.` is taken off, and only here."""
    kept, dropped = split(tensors, UNUSED)
    inside = {name.removeprefix("encoder."): tensor for name, tensor in kept.items()}
    return Translated(inside, said(config), dropped)
