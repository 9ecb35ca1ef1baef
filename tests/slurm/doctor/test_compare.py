"""`petl doctor`: what the probe job found on a node, judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from doctor_cases import context, facts, texts

from slurm.doctor.compare import judge
from slurm.doctor.findings import Finding
from slurm.doctor.probe_job import ProbeResult


def judged(folder: Path, found: dict[str, Any], **more: Any) -> list[Finding]:
    signals = {"SIGUSR2": 0.2, "SIGTERM": 0.1}
    known = {"signals": signals, "requeued_s": 2.0, **more}
    return judge(context(folder), ProbeResult(facts=found, **known))


def test_a_healthy_node_has_no_problems(tmp_path: Path) -> None:
    found = judged(tmp_path, facts())
    assert {one.level for one in found} == {"ok"}, found


def test_an_h100_with_the_pinned_torch_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    found = judged(tmp_path, facts("NVIDIA H100", (9, 0)))
    (failed,) = [one for one in found if one.level == "failure"]
    assert "no kernels for NVIDIA H100 (compute capability 9.0)" in failed.text
    assert "sm_86" in failed.text and "the other image" in failed.todo


def torch(**more: object) -> dict[str, Any]:
    return {"torch": facts()["torch"] | more}


NO_GPU = "No CUDA GPUs are available"


@pytest.mark.parametrize(
    ("changed", "more", "level", "expected"),
    [
        ({"petl": "0.0.1"}, {}, "failure", "petl 0.1.0 here, 0.0.1 on the node"),
        ({"commit": "f" * 40}, {}, "warning", "commit"),
        ({"lock": "f" * 64}, {}, "warning", "lock aaaaaaaaaaaa here, ffffffffffff on the node"),
        ({"unrelated": "PyPI's petl"}, {}, "failure", "PyPI's petl (on the node)"),
        ({"folders": {"runs": "not the same folder"}}, {}, "failure", "not the same folder"),
        (torch(cuda=None, gpus=[]), {}, "failure", "is built for CPUs only"),
        (torch(gpus=[]), {}, "failure", "torch sees 0 of 1 GPU"),
        (torch(error=NO_GPU), {}, "failure", f"computing on the GPU fails: {NO_GPU}"),
        (
            {"torch": None, "import_errors": {"torch": "ImportError: libcuda"}},
            {},
            "failure",
            "torch cannot be imported on the node: ImportError: libcuda",
        ),
        ({}, {"signals": {"SIGUSR2": None}}, "failure", "SIGUSR2, sent before the time limit, do"),
        ({}, {"requeued_s": None}, "failure", "did not return to the queue"),
    ],
)
def test_each_problem_of_a_node_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    more: dict[str, Any],
    level: str,
    expected: str,
) -> None:
    monkeypatch.setenv("PETL_LOCK_HASH", "a" * 64)
    found = judged(tmp_path, facts() | changed, **more)
    assert expected in texts(found, level)
