"""What a process is in, and how two environments differ."""

from __future__ import annotations

from typing import Any

from petl.reproduce.environment import Difference, Surroundings, differences, here
from petl.runs.machine import Machine


def of(machine: dict[str, Any] | None = None, **facts: Any) -> Surroundings:
    known: Machine = {
        "packages": {"numpy": "1.23.5", "torch": "1.13.1"},
        "cpu": "EPYC",
        "cpu_flags": ["avx2", "fma"],
        "system": "Linux-6",
        **(machine or {}),  # type: ignore[typeddict-item]
    }
    return Surroundings({"python": "3.10.13", "gpu": None, "threads": 2, **facts}, known)


def test_equal_environments_have_no_differences() -> None:
    assert differences(of(), of(host="another")) == []
    assert differences(here(), here()) == []


def test_every_kind_of_difference_is_told_in_one_line() -> None:
    other = {
        "packages": {"torch": "2.13.0", "scipy": "1.10"},
        "cpu": "Xeon",
        "cpu_flags": ["avx2", "avx512f"],
    }
    lines = [str(one) for one in differences(of(), of(other, threads=4, gpu="A100"))]
    assert lines == [
        "GPU: none, and A100",
        "threads: 2, and 4",
        "CPU: EPYC, and Xeon",
        "CPU flags: only fma, and only avx512f",
        "package numpy: 1.23.5, and none",
        "package scipy: none, and 1.10",
        "package torch: 1.13.1, and 2.13.0",
    ]


def test_an_older_run_without_a_machine_says_that_it_is_not_recorded() -> None:
    old = Surroundings({"python": "3.10.13", "threads": 2}, None)
    assert differences(old, of(driver="550.1")) == [
        Difference("driver", "not recorded", "550.1"),
        Difference("packages and CPU", "not recorded", "recorded"),
    ]


def test_commits_with_the_same_program_do_not_count_as_a_difference() -> None:
    one, other = of(git_commit="1", code={"source": "a"}), of(git_commit="2", code={"source": "a"})
    assert differences(one, other) == []
    another = of(git_commit="2", code={"source": "b"})
    assert [str(found) for found in differences(one, another)] == ["commit: 1, and 2"]
