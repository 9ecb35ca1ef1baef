"""A model as boxes: the parts of its layers, in order, and how much of each trains.

The boxes come from the model's own modules, so that a picture shows what the model does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from petl import config
from petl.backbones.boxes import Box, boxes_of, steps
from petl.model.build import count_parameters
from petl.model.count import without_memory


@dataclass(frozen=True)
class Description:
    """`layers` has one box for each layer, the first one first; `whole` counts all parameters."""

    label: str
    embeddings: Box
    layers: tuple[Box, ...]
    norm: Box
    head: Box
    trained: int
    without_head: int
    whole: int


def describe(task: config.Task) -> Description:
    """Describe a task's model at full size, without memory for weights."""
    model = without_memory(task)
    encoder, counts = model.backbone, count_parameters(model)
    norm, head = boxes_of(encoder.norm), replace(boxes_of(model.head), name="Head")
    if model.norm_again:
        norm = replace(norm, name=f"{norm.name}, twice")
    if model.attentive is not None:
        head = steps(boxes_of(model.attentive), head)
    return Description(
        task.names.method_label,
        boxes_of(encoder.tokens),
        tuple(map(boxes_of, encoder.layers)),
        norm,
        head,
        counts["trainable"],
        counts["trainable_without_head"],
        counts["total"],
    )
