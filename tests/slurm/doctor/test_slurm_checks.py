"""`petl doctor` on a login node: what Slurm would refuse, and a Slurm that does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from doctor_cases import GPU, HILL, context, doctor, profile, texts

from slurm.doctor import slurm_checks
from slurm.doctor.findings import Check, Context, Finding, ok, run_checks
from slurm.doctor.slurm_info import SlurmInfo, seconds

Fake = Callable[..., None]


def test_without_slurm_it_says_so_and_checks_the_rest(tmp_path: Path, fake: Fake) -> None:
    result = doctor(tmp_path)
    assert result.exit_code == 0, result.output
    assert "Slurm is not installed on this machine" in result.output
    assert "submit STUDY --local" in result.output
    assert "Folders" in result.output and "runs folder:" in result.output
    named = doctor(tmp_path, "--cluster", profile(tmp_path, GPU))
    assert named.exit_code == 1 and "on a login node" in named.output


def test_a_sacct_that_hangs_is_a_warning_and_costs_only_its_time(
    tmp_path: Path, fake: Fake
) -> None:
    fake(**HILL)
    fake(sacct="exec /bin/sleep 60")
    began = time.monotonic()
    found = run_checks(slurm_checks.SLURM, context(tmp_path, slurm=SlurmInfo(timeout_s=1)))
    assert time.monotonic() - began < 10
    assert texts(found, "warning") == "sacct did not answer within 1 s"
    assert not texts(found)


def test_a_controller_that_is_down_is_reported_once_with_all_that_is_unknown(
    tmp_path: Path, fake: Fake
) -> None:
    fake(**HILL)
    down = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
    fake(scontrol=down, sinfo=down, squeue=down)
    found = run_checks((*slurm_checks.SLURM, *slurm_checks.PROFILE), context(tmp_path))
    assert texts(found).count("Unable to contact slurm controller") == 3
    assert texts(found, "warning").count("could not check ") == 1
    assert "could not check partition, time limit, submission" in texts(found, "warning")


def test_a_check_that_hangs_is_reported_and_left(tmp_path: Path, fake: Fake) -> None:
    def dead_file_server(context: Context) -> Iterable[Finding]:
        time.sleep(30)
        return []

    def another(context: Context) -> Iterable[Finding]:
        return [ok("fine")]

    checks: list[Check] = [dead_file_server, another]
    found = run_checks(checks, context(tmp_path), timeout_s=0.2)
    assert [one.level for one in found] == ["failure", "ok"]
    assert found[0].text == "the check of dead file server did not finish in time"


def test_a_profile_that_the_cluster_accepts_has_no_problems(tmp_path: Path, fake: Fake) -> None:
    fake(**HILL)
    found = run_checks((*slurm_checks.SLURM, *slurm_checks.PROFILE), context(tmp_path))
    assert {one.level for one in found} == {"ok"}, found


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"partition": "gpus"}, "there is no partition 'gpus'; did you mean 'gpu'?"),
        ({"time": "1-01:00:00"}, "time: 1-01:00:00 is more than the limit of 12:00:00"),
        ({"signal_lead_s": 3600}, "signal_lead_s: 3600 is as long as time: 60"),
    ],
)
def test_what_the_cluster_cannot_give_is_named_with_the_nearest_that_it_can(
    tmp_path: Path, fake: Fake, more: dict[str, Any], expected: str
) -> None:
    fake(**HILL)
    found = run_checks(slurm_checks.PROFILE, context(tmp_path, GPU | more))
    assert expected in texts(found)


def test_a_signal_too_short_before_the_end_is_a_warning(tmp_path: Path, fake: Fake) -> None:
    fake(**HILL | {"scontrol": HILL["scontrol"].replace("30 sec", "5 sec")})
    found = run_checks(slurm_checks.PROFILE, context(tmp_path, GPU | {"signal_lead_s": 5}))
    assert texts(found, "warning").splitlines() == [
        "signal_lead_s: 5 and KillWait of 5 s can be too short to write a checkpoint",
    ]


def test_a_refused_job_is_quoted_with_what_the_nodes_have(tmp_path: Path, fake: Fake) -> None:
    refuses = "echo 'allocation failure: Requested node configuration is not available' >&2; exit 1"
    fake(**HILL | {"sbatch": refuses})
    found = run_checks(slurm_checks.PROFILE, context(tmp_path, GPU | {"gpu_type": "a10"}))
    (refused,) = [one for one in found if one.level == "failure"]
    assert "Requested node configuration is not available" in refused.text
    assert "nodes of gpu have gpu:a100:4" in refused.todo


REFUSES_LARGE = """\
[ "$1" = --version ] && exit
/bin/grep -q -- --array=0-9 || exit 0
echo 'sbatch: error: AssocMaxSubmitJobLimit' >&2
exit 1
"""


@pytest.mark.parametrize(("more", "level"), [({}, "warning"), ({"max_array_size": 999}, "failure")])
def test_an_array_that_slurm_refuses_is_a_failure_where_the_profile_asks_for_it(
    tmp_path: Path, fake: Fake, more: dict[str, Any], level: str
) -> None:
    fake(**HILL | {"sbatch": REFUSES_LARGE.replace("0-9", "0-1000" if not more else "0-998")})
    found = run_checks(slurm_checks.PROFILE, context(tmp_path, GPU | more))
    size = more.get("max_array_size", 1001)
    assert f"an array of {size} jobs: sbatch: AssocMaxSubmitJobLimit" in texts(found, level)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 5400),
        ("1:30", 90),
        ("12:00:00", 43200),
        ("2-12", 216000),
        ("1-00:30", 88200),
        ("1-00:00:01", 86401),
        ("UNLIMITED", float("inf")),
    ],
)
def test_times_are_read_as_slurm_writes_them(text: str, expected: float) -> None:
    assert seconds(text) == expected
