"""Which of our tensors each tensor of a checkpoint fills; none may be missing or left over.

A table maps a module or tensor of ours to the library's name; `#` is a layer's number. Our `qkv`
holds three of theirs, stacked by rows, so it maps to three names in that order:

    layers.3.attention.qkv.linear.weight[0:d]   encoder.layer.3.attention.attention.query.weight
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from petl.errors import UserError

Table = Mapping[str, "str | tuple[str, ...]"]
LISTED = 3


@dataclass(frozen=True)
class Naming:
    """`newer` has the names that later versions of the library use instead.

    `prefix` is in front of every name when the library's model has a head. Names that begin with
    one of `leftovers` are ignored: heads and parts of the pre-training.
    """

    table: Table
    newer: Table
    prefix: str
    leftovers: tuple[str, ...]

    def theirs(self, ours: str) -> tuple[str, ...]:
        """The library's name for a tensor of ours, several if stacked, none if it has no such."""
        return _look_up(self.table, ours)

    def alternatives(self, ours: str) -> tuple[tuple[str, ...], ...]:
        older, newer = self.theirs(ours), _look_up(self.newer, ours)
        return (older, newer) if newer else (older,)


def _look_up(table: Table, ours: str) -> tuple[str, ...]:
    number = re.search(r"\.(\d+)\.", ours)
    template = ours.replace(number[0], ".#.", 1) if number else ours
    module, _, end = template.rpartition(".")
    if names := table.get(template):
        end = ""
    elif names := table.get(module):
        end = f".{end}"
    else:
        return ()
    names = (names,) if isinstance(names, str) else names
    return tuple(name.replace("#", number[1] if number else "#") + end for name in names)


Options = Callable[[str], "Sequence[tuple[str, ...]]"]
"""For a tensor of ours, what it may be called elsewhere: one name, or those of its chunks."""


@torch.no_grad()
def fill(
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    refusal: str,
    options: Options = lambda ours: [(ours,)],
    unused: tuple[str, ...] = (),
    partly: bool = False,
) -> list[str]:
    """Copy the given tensors into ours, or list what does not fit behind the words of `refusal`.

    Names that begin with one of `unused` are left out, and returned. With `partly`, a tensor that
    is not given keeps its values.
    """
    left, problems = dict(given), []
    for ours, tensor in own.items():
        names = next((names for names in options(ours) if any(n in left for n in names)), None)
        names = names or options(ours)[0]
        parts = tensor.chunk(len(names)) if len(names) > 1 else [tensor]
        for name, part in zip(names, parts, strict=True):
            new = left.pop(name, None)
            if new is None:
                problems += [] if partly else [f"{name} is missing"]
            elif new.shape != part.shape:
                problems.append(f"{name} is {tuple(new.shape)}, not {tuple(part.shape)}")
            else:
                part.copy_(new)
    problems += [f"{name} is unexpected" for name in left if not name.startswith(unused)]
    if problems:
        more = f" (and {len(problems) - LISTED} more)" if len(problems) > LISTED else ""
        raise UserError(f"{refusal}: {'; '.join(sorted(problems)[:LISTED])}{more}")
    return list(left)


def load_library(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], naming: Naming, origin: str
) -> list[str]:
    """Fill an encoder's tensors from those of a library checkpoint; the names that are left out."""
    bare = {name.removeprefix(naming.prefix): tensor for name, tensor in given.items()}
    refusal = f"{origin}: these weights do not fit"
    return fill(own, bare, refusal, naming.alternatives, naming.leftovers)


def to_huggingface(tensors: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """A backbone's tensors under the library's names, as its `save_pretrained` would write them."""
    return {
        name: part.contiguous()
        for ours, tensor in tensors.items()
        for theirs in [naming.theirs(ours)]
        for name, part in zip(theirs, tensor.chunk(len(theirs)), strict=True)
    }
