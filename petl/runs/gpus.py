"""Which GPUs a build of torch can use, and what the names of GPUs in a profile mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from petl.errors import UserError

if TYPE_CHECKING:
    import torch


class NoKernels(UserError):
    """This torch has no code for this GPU."""


Capability = tuple[int, int]

BUILT_FOR = {
    "pinned": ("sm_37", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86"),
    "modern": ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"),
}
"""What `torch.cuda.get_arch_list()` says in each of the two images; their builds check it."""

TYPES: dict[Capability, str] = {
    (3, 7): "k80",
    (5, 2): "m40 titan-x",
    (6, 0): "p100",
    (6, 1): "p4 p40 1080 1080ti",
    (7, 0): "v100 titan-v",
    (7, 5): "t4 2080 2080ti titan-rtx rtx6000 rtx8000",
    (8, 0): "a30 a100",
    (8, 6): "a10 a16 a40 a4000 a5000 a6000 3080 3080ti 3090 3090ti",
    (8, 9): "l4 l40 l40s 4080 4090 rtx6000ada",
    (9, 0): "h100 h200",
    (10, 0): "b200",
    (10, 3): "b300",
    (12, 0): "5080 5090 rtx-pro6000",
}
"""Names of GPUs, as Slurm's types contain them (`nvidia_a100-sxm4-80gb`), by capability."""


def capability(gpu_type: str) -> Capability | None:
    """None for a name that is not in the list, such as `gpu`, or `1g.10gb` for part of one."""
    known = {name: found for found, names in TYPES.items() for name in names.split()}
    for name in sorted(known, key=len, reverse=True):  # rtx6000ada before rtx6000
        words = r"[\W_]*".join(re.findall(r"[a-z]+|\d+", name))
        if re.search(rf"(?<!\d){words}(?!\d)", gpu_type.lower()):
            return known[name]
    return None


def has_kernels(built_for: Iterable[str], major: int, minor: int) -> bool:
    """Whether code for `sm_80` or `compute_90` runs on a GPU of this compute capability.

    Machine code (sm_XY) runs on later GPUs of the same generation: same X, minor at least Y. PTX
    (compute_XY) is compiled by the driver for all later generations.
    """
    for kind, _, version in (name.partition("_") for name in built_for):
        digits = "".join(c for c in version if c.isdigit())  # sm_90a
        built = (int(digits[:-1]), int(digits[-1]))
        if kind == "compute" and built <= (major, minor):
            return True
        if kind == "sm" and built[0] == major and built[1] <= minor:
            return True
    return False


def device() -> torch.device:
    """The GPU, or the CPU where there is none. On a GPU without kernels every step would fail."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    built_for, (major, minor) = torch.cuda.get_arch_list(), torch.cuda.get_device_capability()
    if not has_kernels(built_for, major, minor):
        raise NoKernels(
            f"torch {torch.__version__} has no kernels for {torch.cuda.get_device_name()} "
            f"(compute capability {major}.{minor}), only for {', '.join(built_for)}: "
            "use the other image or environment (docs/container.md), or another GPU"
        )
    return torch.device("cuda")
