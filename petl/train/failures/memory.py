"""What to advise when a batch does not fit: the memory a clip takes, and how many clips fit."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import torch
from torch import Tensor, nn

from petl.model.build import Model

MARGIN = 0.85
"""The share of free memory that can be used: allocators leave gaps, and layers need work space."""


def kept(model: nn.Module, x: Tensor) -> list[int]:
    """Bytes of each storage that the forward pass of x keeps for the backward pass.

    Parameters do not count: they are in memory anyway.
    """
    own = {storage(p).data_ptr() for p in model.parameters()}
    sizes: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        place = storage(t)
        if place.data_ptr() not in own:
            sizes[place.data_ptr()] = place.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        outputs = model(x)  # kept alive: a freed storage's address would be used again
    del outputs
    return list(sizes.values())


def advice(model: Model, x: Tensor, free_at_start: int) -> str:
    """One line on what would fit, after an out-of-memory error.

    What was free before the first step, less gradients and AdamW's two moments (3 x the trained
    parameters). It is not measured now, because a CPU's allocator does not return everything that
    the failed step took.
    """
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    free = max(0, free_at_start - 3 * trained)
    if x.device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        clip = sum(kept(model, x[:1]))
    except (RuntimeError, MemoryError):
        return "not even one clip fits; 'layer_checkpointing: on' needs less memory"
    count = min(int(MARGIN * free / clip), len(x) - 1)
    fits = f"batch_size {count} would fit" if count else "not even one clip fits"
    text = f"a clip takes about {clip / 1e6:.0f} MB, {free / 1e6:.0f} MB are free, and {fits}"
    if model.backbone.layer_checkpointing:
        return text
    return f"{text}. 'layer_checkpointing: on' needs less memory and changes no number"


def free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if limit == resource.RLIM_INFINITY:
        return available
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return min(available, max(0, limit - pages * os.sysconf("SC_PAGE_SIZE")))


def storage(t: Tensor) -> torch.UntypedStorage:
    return t.untyped_storage() if hasattr(t, "untyped_storage") else t.storage()
