"""A disk that is full or read-only for a while: told by name, and nothing is the runs' fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_slurm import Slurm, made_study, told_by
from small_disk import SmallDisk
from tiny import LONG, Make, runs

from petl.config.options import Options
from petl.places import Places
from slurm.node.runs import local_run, run_one
from slurm.node.stop import Stop
from slurm.status.plan import Plan
from slurm.submission import Submission
from slurm.submit.policy import choose, difference
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Batch, Cluster, prepare

BREAK: dict[str, Callable[[SmallDisk], None]] = {
    "disk full": SmallDisk.fill,
    "read-only file system": SmallDisk.read_only,
}
MEND = {"disk full": SmallDisk.free, "read-only file system": SmallDisk.writable}
SAID = {"disk full": "no space left on device", "read-only file system": "read-only file system"}
CODES = {"disk full": 71, "read-only file system": 72}


@pytest.mark.parametrize("fault", BREAK)
def test_submit_and_retry_are_one_line_and_cancel_works(
    small_disk: SmallDisk, fake_slurm: Slurm, tmp_path: Path, fault: str
) -> None:
    study, folder = made_study(tmp_path / "study.yaml"), ["--runs", small_disk.folder / "runs"]
    there = ["--cluster", "example", "--yes", "--data", tmp_path, "--cache", tmp_path]
    told_by("submit", study.path, *folder, *there)
    BREAK[fault](small_disk)
    for command in ("submit", "retry"):
        told = told_by(command, study.path, *folder, *there, code=2).splitlines()
        (line,) = (line for line in told if not line.startswith("petl: warning: "))
        assert line.startswith(f"petl: {small_disk.folder}") and line.endswith(SAID[fault]), line
    named = "the disk is full" if fault == "disk full" else fault
    for command in ("status", "ls", "plan"):
        assert f"petl: warning: {small_disk.folder}/runs: {named}" in told_by(
            command, study.path, *folder
        )
    assert "cancelled" in told_by("cancel", study.path, *folder, "--yes")
    assert "scancel 12" in fake_slurm.asked
    MEND[fault](small_disk)
    fake_slurm.queue.write_text("")
    assert "submitted 4 runs" in told_by("submit", study.path, *folder, *there)


def submitted(make: Make, small_disk: SmallDisk, places: Places) -> tuple[Submission, Places]:
    places = Places(small_disk.folder / "runs", places.data, places.cache)
    plan = Plan(make("linear", "[0, 1]", LONG), places.runs)
    cluster = Cluster("here", Profile(time="10", max_array_size=9), places, Options(threads=1))
    return prepare(plan, Batch(plan.items, 16.0), cluster), places


@pytest.mark.parametrize("fault", BREAK)
def test_a_job_that_cannot_write_says_why_and_its_run_is_submitted_again(
    small_disk: SmallDisk, fake_slurm: Slurm, make: Make, places: Places, fault: str
) -> None:
    """Before the run begins, and in its midst."""
    made, places = submitted(make, small_disk, places)
    made.note(0, "12")
    loaded = make("linear", "[0, 1]", LONG)
    second = runs(loaded, places)[1]
    BREAK[fault](small_disk)
    assert run_one(made, 0, places, Stop()) == CODES[fault]
    MEND[fault](small_disk)

    def breaks() -> bool:
        if second.metrics() and not small_disk.ballast.exists():
            small_disk.ballast.touch()
            BREAK[fault](small_disk)
        return False

    assert run_one(made, 1, places, breaks) == CODES[fault]  # type: ignore[arg-type]
    MEND[fault](small_disk)
    second.claim_file.unlink(missing_ok=True)  # its process would be dead, and this one lives
    name = made.name(0)
    fake_slurm.accounts.write_text(
        "".join(f"{name}|12_{i}|FAILED|{CODES[fault]}:0|node7|2020-01-01\n" for i in (0, 1))
    )
    plan = Plan(loaded, places.runs)
    assert [item.kind for item in plan.items] == ["stopped", "stopped"]
    reason = plan.items[0].state.reason
    assert reason == f"{fault} on node7: its runs, data or cache folder ({places.runs})"
    choice = choose(plan.items, Profile(time="10"))
    assert difference(choice, plan.counts()) == f"0 done, 2 to retry: 2 {fault}"


def test_a_local_run_that_cannot_write_names_the_disk(
    small_disk: SmallDisk, make: Make, places: Places
) -> None:
    made, places = submitted(make, small_disk, places)
    small_disk.fill()
    assert local_run(made.manifest, 0, places, Stop()) == 71


def test_slurms_own_word_for_a_log_that_it_cannot_write(
    fake_slurm: Slurm, small_disk: SmallDisk, make: Make, places: Places
) -> None:
    made, places = submitted(make, small_disk, places)
    made.note(0, "12")
    fake_slurm.accounts.write_text(f"{made.name(0)}|12_0|FAILED|0:53|node7|2020-01-01\n")
    item = Plan(make("linear", "[0, 1]", LONG), places.runs).items[0]
    assert (item.kind, item.state.cause) == ("stopped", "file-system")
    assert f"could not write its log on node7: {made.folder}" in item.state.reason
