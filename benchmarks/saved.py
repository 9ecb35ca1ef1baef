"""The most bytes that a training step keeps for its backward passes at any one time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from petl.train.failures.memory import storage


class _Saved:
    """A saved tensor; it is dropped when its backward pass has used it."""

    def __init__(self, tensor: Tensor, held: Counter[int], sizes: dict[int, int]):
        self.tensor, self.held, self.sizes = tensor, held, sizes
        self.place = storage(tensor).data_ptr()
        held[self.place] += 1
        sizes[self.place] = storage(tensor).nbytes()

    def __del__(self) -> None:
        self.held[self.place] -= 1
        if not self.held[self.place]:
            del self.sizes[self.place]


def most_saved(step: Callable[[], object], parameters: Iterable[Tensor]) -> int:
    """Each storage counts once, and the parameters not at all: they are in memory anyway."""
    own = {storage(parameter).data_ptr() for parameter in parameters}
    held: Counter[int] = Counter()
    sizes: dict[int, int] = {}
    most = 0

    def pack(tensor: Tensor) -> Tensor | _Saved:
        nonlocal most
        if storage(tensor).data_ptr() in own:
            return tensor
        saved = _Saved(tensor, held, sizes)
        most = max(most, sum(sizes.values()))
        return saved

    def unpack(saved: Tensor | _Saved) -> Tensor:
        return saved.tensor if isinstance(saved, _Saved) else saved

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        step()
    return most
