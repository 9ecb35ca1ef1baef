"""GPUs by the names that Slurm gives them, and by what a build of torch has code for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from petl.errors import UserError
from petl.runs.gpus import BUILT_FOR, capability, device, has_kernels
from petl.train.failures.kinds import failure_class
from slurm.submit.policy import NEVER


@pytest.mark.parametrize(
    ("built_for", "capability", "expected"),
    [
        (BUILT_FOR["pinned"], (8, 0), True),
        (BUILT_FOR["pinned"], (8, 9), True),  # an L40 runs the machine code of its generation
        (BUILT_FOR["pinned"], (9, 0), False),  # an H100 does not
        (BUILT_FOR["pinned"], (7, 0), True),
        (BUILT_FOR["pinned"], (7, 2), True),
        (BUILT_FOR["pinned"], (3, 5), False),
        (["sm_90a", "compute_90"], (12, 0), True),
        (["sm_100"], (10, 3), True),
    ],
)
def test_a_gpu_that_torch_has_no_kernels_for_is_known(
    built_for: Sequence[str], capability: tuple[int, int], expected: bool
) -> None:
    assert has_kernels(built_for, *capability) is expected


@pytest.mark.parametrize(
    ("gpu_type", "expected"),
    [
        ("a100", (8, 0)),
        ("nvidia_a100-sxm4-80gb", (8, 0)),
        ("A10", (8, 6)),
        ("h100_80gb", (9, 0)),
        ("gh200", (9, 0)),
        ("rtx_3090", (8, 6)),
        ("rtxa6000", (8, 6)),
        ("quadro_rtx_6000", (7, 5)),
        ("rtx_6000_ada", (8, 9)),
        ("rtx_pro_6000_blackwell", (12, 0)),
        ("l40s", (8, 9)),
        ("b200", (10, 0)),
        ("1g.10gb", None),
        ("gpu", None),
        ("rtxa1000", None),  # holds an "a100", but is another GPU
    ],
)
def test_the_types_of_gpus_that_clusters_have(
    gpu_type: str, expected: tuple[int, int] | None
) -> None:
    assert capability(gpu_type) == expected


def test_the_table_says_what_the_pinned_torch_is_built_for() -> None:
    if torch.version.cuda is None:
        pytest.skip("this torch is for CPUs")
    assert torch._C._cuda_getArchFlags().split() == list(BUILT_FOR["pinned"])


def test_a_gpu_without_kernels_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(BUILT_FOR["pinned"]))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    with pytest.raises(UserError, match=r"no kernels for NVIDIA H100 \(compute capab") as error:
        device()
    assert failure_class(error.value) == "no-kernels" in NEVER
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 9))
    assert device().type == "cuda"
