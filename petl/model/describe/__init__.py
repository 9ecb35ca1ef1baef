"""A model told in boxes: what stands in its layers, in which order, and what of it trains.

Made from the modules themselves, so that a picture cannot show what the model does not do. The
boxes know nothing of torch and nothing of drawing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from petl import config
from petl.backbones.known import bare
from petl.config.presets import task_of  # noqa: F401  (whoever describes a preset needs both)
from petl.model.build import assemble, count_parameters
from petl.model.count import OnMeta
from petl.model.describe import methods  # noqa: F401  (flow learns what methods add)
from petl.model.describe.boxes import Box
from petl.model.describe.encoder import flow


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
    with OnMeta():
        model = assemble(bare(task.backbone, task.dataset.frames), task)
    encoder, counts = model.backbone, count_parameters(model)
    return Description(
        task.names.method_label,
        flow(encoder.tokens),
        tuple(flow(layer) for layer in encoder.layers),
        flow(encoder.norm),
        replace(flow(model.head), name="Head"),
        counts["trainable"],
        counts["trainable_without_head"],
        counts["total"],
    )
