"""What to say when a batch does not fit: how much a clip takes, and how many would fit."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import torch
from torch import Tensor, nn

from petl.model.build import Model

MARGIN = 0.85
"""Of what is free, so much can be used: allocators leave gaps, and layers need room to work in."""


def kept(model: nn.Module, x: Tensor) -> list[int]:
    """Bytes of each storage that a forward pass of x keeps for its backward pass.

    Parameters are there anyway and do not count.
    """
    own = {_storage(p).data_ptr() for p in model.parameters()}
    sizes: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = _storage(t)
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        outputs = model(x)  # held on to: freed storages would lend their addresses to later ones
    del outputs
    return list(sizes.values())


def advice(model: Model, x: Tensor, free_at_first: int) -> str:
    """One line on what would fit, after an out-of-memory error.

    `free_at_first` is what was free before the first step; then came gradients and AdamW's two
    moments. A CPU's allocator does not give all back that a failed step has taken.
    """
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    free = max(0, free_at_first - 3 * trained)
    if x.device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        a_clip = sum(kept(model, x[:1]))
    except (RuntimeError, MemoryError):
        return "not even one clip fits; 'layer_checkpointing: on' keeps less"
    fits = min(int(MARGIN * free / a_clip), len(x) - 1)
    said = f"a clip takes about {a_clip / 1e6:.0f} MB and {free / 1e6:.0f} MB are free"
    smaller = f"batch_size {fits} would fit" if fits else "not even one clip fits"
    if model.backbone.layer_checkpointing:
        return f"{said}: {smaller}"
    return f"{said}: {smaller}, and 'layer_checkpointing: on' keeps a batch and all numbers"


def free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if limit == resource.RLIM_INFINITY:
        return available
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return min(available, max(0, limit - pages * os.sysconf("SC_PAGE_SIZE")))


def _storage(t: Tensor) -> torch.UntypedStorage:
    return t.untyped_storage() if hasattr(t, "untyped_storage") else t.storage()
