"""A model as boxes: what stands in its layers, in which order, and how much of it trains.

The boxes come from the model's own modules, so that a picture shows what the model does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from petl import config
from petl.backbones.boxes import Box, boxes_of
from petl.model.build import count_parameters
from petl.model.count import without_memory


@dataclass(frozen=True)
class Description:
    """`layers` has one box for each, from below; `whole` counts every parameter there is."""

    label: str
    embeddings: Box
    layers: tuple[Box, ...]
    norm: Box
    head: Box
    trained: int
    without_head: int
    whole: int


def describe(task: config.Task) -> Description:
    """At full size and without a weight in memory."""
    model = without_memory(task)
    encoder, counts = model.backbone, count_parameters(model)
    return Description(
        task.names.method_label,
        boxes_of(encoder.tokens),
        tuple(map(boxes_of, encoder.layers)),
        boxes_of(encoder.norm),
        replace(boxes_of(model.head), name="Head"),
        counts["trainable"],
        counts["trainable_without_head"],
        counts["total"],
    )
