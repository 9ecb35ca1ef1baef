"""Where each tensor of a checkpoint goes, and that every one of them goes somewhere.

A table maps a module or tensor of ours to the library's; `#` stands for a layer's number. Where
ours holds several of theirs stacked (queries, keys and values) it names them in that order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from petl.errors import UserError

Table = Mapping[str, "str | tuple[str, ...]"]
LISTED = 8


@dataclass(frozen=True)
class Naming:
    """`newer` holds what later versions of the library call differently, if they are asked to.

    `prefix` is what the library puts before every name when the model carries a head, and
    `leftovers` begin the names of what no classifier of ours needs: heads and pre-training's parts.
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
    if found := table.get(template):
        end = ""
    elif found := table.get(module):
        end = f".{end}"
    else:
        return ()
    names = (found,) if isinstance(found, str) else found
    return tuple(name.replace("#", number[1] if number else "#") + end for name in names)


@torch.no_grad()
def load(module: nn.Module, tensors: Mapping[str, Tensor], naming: Naming, origin: str) -> None:
    """Fill the module; what is missing, unexpected or misshapen is listed in an error."""
    left = {name.removeprefix(naming.prefix): tensor for name, tensor in tensors.items()}
    problems: list[str] = []
    for ours, own in module.state_dict().items():
        options = naming.alternatives(ours)
        theirs = next((names for names in options if any(n in left for n in names)), options[0])
        for name, part in zip(theirs, own.chunk(len(theirs)), strict=True):
            given = left.pop(name, None)
            if given is None:
                problems.append(f"{name} is missing")
            elif given.shape != part.shape:
                problems.append(f"{name} is {tuple(given.shape)}, not {tuple(part.shape)}")
            else:
                part.copy_(given)
    problems += [f"{name} is unexpected" for name in left if not name.startswith(naming.leftovers)]
    if problems:
        more = f" (and {len(problems) - LISTED} more)" if len(problems) > LISTED else ""
        listed = "; ".join(sorted(problems)[:LISTED])
        raise UserError(f"{origin}: these weights do not fit: {listed}{more}")


def to_huggingface(tensors: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """A backbone's tensors under the library's names, as its `save_pretrained` would write them."""
    return {
        name: part.contiguous()
        for ours, tensor in tensors.items()
        for theirs in [naming.theirs(ours)]
        for name, part in zip(theirs, tensor.chunk(len(theirs)), strict=True)
    }
