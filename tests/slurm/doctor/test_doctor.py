"""`petl doctor`: what is wrong is found and said with what to do; what is well is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tiny import start, until
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.places import Places
from slurm.devcluster import DevCluster
from slurm.doctor import folders, login
from slurm.doctor.compare import driver, has_kernels, judged
from slurm.doctor.errand import Brought
from slurm.doctor.findings import Check, Finding, Patient, examine, ok
from slurm.doctor.site import Site, seconds
from slurm.doctor.software import shadow, software
from slurm.submit.profile import load_profile

PINNED = ["sm_37", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86"]
"""What torch 1.13.1 for CUDA 11.7 has kernels for."""
GPU = "{partition: gpu, gpus: 1, cpus: 1, mem_gb: 2, time: 60"
CPU = "{partition: gpu, gpus: 0, cpus: 1, mem_gb: 2, time: 60"

Fake = Callable[..., None]


def profile(folder: Path, text: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(f"{text}}}\n")
    return path


def patient(folder: Path, text: str = GPU, site: Site | None = None) -> Patient:
    places = Places(folder / "runs", folder / "data", folder / "cache")
    loaded = load_profile(str(profile(folder, text)))
    return Patient("here", loaded, places, site or Site(patience_s=5))


def said(found: Iterable[Finding], level: str = "failure") -> str:
    return "\n".join(one.text for one in found if one.level == level)


def doctor(folder: Path, *arguments: object) -> Result:
    options = [f"--{name}={folder / name}" for name in ("runs", "data", "cache")]
    return CliRunner().invoke(app, ["doctor", *options, *map(str, arguments)])


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A cluster of shell scripts, for what a real one cannot be brought to do at will."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(**scripts: str) -> None:
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    return put


CONFIG = """\
AccountingStorageEnforce = associations,limits,qos
ClusterName             = hill
KillWait                = 30 sec
MaxArraySize            = 1001
PreemptType             = preempt/partition_prio
SLURM_VERSION           = 23.02.7
"""
PARTITIONS = """\
PartitionName=gpu AllowAccounts=lab,course AllowQos=ALL Default=YES QoS=N/A GraceTime=0\
 MaxTime=1-00:00:00 PreemptMode=OFF State=UP
PartitionName=spare AllowAccounts=ALL AllowQos=ALL Default=NO QoS=N/A GraceTime=60\
 MaxTime=UNLIMITED PreemptMode=CANCEL State=UP
"""


def hill(fake: Fake) -> None:
    fake(
        sbatch="echo slurm 23.02.7",
        squeue="true",
        sacct="true",
        sinfo="echo 'gpu|gpu:a100:4(S:0-1)|mixed'; echo 'spare|gpu:v100:2|down*'",
        scontrol=f"case $* in *partition) echo '{PARTITIONS}';; *) echo '{CONFIG}';; esac",
        sacctmgr="case $* in *assoc*) echo 'lab||normal,long|normal|8|500|';;"
        " *) echo 'normal|||12:00:00|00:00:00|cluster';; esac",
    )


# --- on a machine without Slurm, and with one that is ill -----------------------------------------


def test_without_slurm_it_says_so_and_checks_the_rest(tmp_path: Path, fake: Fake) -> None:
    result = doctor(tmp_path)
    assert result.exit_code == 0, result.output
    assert "no Slurm on this machine" in result.output
    assert "submit STUDY --local" in result.output
    assert "Folders" in result.output and "home:" in result.output
    named = doctor(tmp_path, "--cluster", profile(tmp_path, GPU))
    assert named.exit_code == 1 and "run this on a login node" in named.output


def test_a_sacct_that_hangs_is_a_warning_and_costs_only_its_time(
    tmp_path: Path, fake: Fake
) -> None:
    hill(fake)
    fake(sacct="exec /bin/sleep 60")
    began = time.monotonic()
    found = examine(login.SLURM, patient(tmp_path, site=Site(patience_s=1)))
    assert time.monotonic() - began < 10
    assert said(found, "warning") == "sacct gave no answer within 1 s"
    assert not said(found)


def test_a_controller_that_is_down_is_said_once_with_all_that_is_not_known(
    tmp_path: Path, fake: Fake
) -> None:
    hill(fake)
    down = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
    fake(scontrol=down, sinfo=down, squeue=down)
    found = examine((*login.SLURM, *login.PROFILE), patient(tmp_path))
    assert said(found).count("Unable to contact slurm controller") == 3
    assert said(found, "warning").count("not known: ") == 1
    assert "partition, time limit, gpus" in said(found, "warning")


def test_a_check_that_hangs_is_left_behind(tmp_path: Path, fake: Fake) -> None:
    def file_server_that_is_gone(patient: Patient) -> Iterable[Finding]:
        time.sleep(30)
        return []

    def another(patient: Patient) -> Iterable[Finding]:
        return [ok("well")]

    checks: list[Check] = [file_server_that_is_gone, another]
    found = examine(checks, patient(tmp_path), patience_s=0.2)
    assert [one.level for one in found] == ["failure", "ok"]
    assert found[0].text == "file server that is gone: no answer in time"


# --- the profile against the cluster --------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("partition: gpus", "there is no partition 'gpus'; did you mean 'gpu'?"),
        ("account: labs", "account 'labs' is not yours; did you mean 'lab'?"),
        ("account: tourists", "partition gpu takes accounts lab,course only, not tourists"),
        ("qos: lang", "qos 'lang' is not yours; did you mean 'long'?"),
        ("time: 1-01:00:00", "time: 1-01:00:00 is more than the limit of 12:00:00"),
        ("gpu_type: a10", "no node of gpu has 1 GPU of type a10; did you mean 'a100'?"),
        ("max_array_size: 2000", "max_array_size: 2000 is more than the cluster's 1001"),
        ("signal_lead_s: 3600", "signal_lead_s: 3600 leaves nothing of time: 60"),
    ],
)
def test_what_the_cluster_does_not_give_is_said_with_the_nearest_that_it_does(
    tmp_path: Path, fake: Fake, more: str, expected: str
) -> None:
    hill(fake)
    key = more.partition(":")[0]
    text = ", ".join(part for part in GPU.split(", ") if key not in part)
    text = f"{text if text.startswith('{') else '{' + text}, {more}"
    assert expected in said(examine(login.PROFILE, patient(tmp_path, text)))


def test_limits_and_preemption_are_warned_of(tmp_path: Path, fake: Fake) -> None:
    hill(fake)
    text = "{partition: spare, time: 60, throttle: 40, signal_lead_s: 5"
    found = examine(login.PROFILE, patient(tmp_path, text))
    assert said(found, "warning").splitlines() == [
        "all 1 nodes with 1 GPU are down or drained",
        "you may have 500 jobs queued (MaxSubmitJobs)",
        "jobs in spare may be preempted, with CANCEL",
    ]
    assert "8 jobs at a time at most (MaxJobs)" in said(found, "ok")


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


# --- folders and files ----------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_and_files_that_are_not_there_are_failures(
    tmp_path: Path,
) -> None:
    (tmp_path / "runs").touch()
    text = f"{CPU}, container: {{kind: apptainer, image: /no/petl.sif, binds: [/no/scratch]}}"
    found = examine((*folders.FOLDERS, *folders.CONTAINER), patient(tmp_path, text))
    assert said(found).splitlines() == [
        f"runs: {tmp_path}/runs: not a directory",
        "image /no/petl.sif is not there",
        "bind /no/scratch is not there",
    ]


def test_a_full_disk_is_a_failure(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=100", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        (finding,) = examine([folders.room], patient(small))
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert finding.level == "failure" and "4.19 MB" in finding.text


@pytest.mark.parametrize(
    ("table", "used"),
    [
        ("Disk quotas for user ann (uid 1000): none\n", 0.0),
        ("Filesystem blocks quota limit grace files\n nfs:/home 3900000 4000000 0 70 0 0\n", 0.975),
        ("nfs:/home 4100000* 4000000 5000000 6days 90 100 100\n", 1.025),
        ("/home 100 0 0 - 98 100 0 -\n", 0.98),
    ],
)
def test_quotas_are_read_in_bytes_and_in_files(table: str, used: float) -> None:
    assert folders.used_of_quota(table) == pytest.approx(used)


def test_caches_are_found_in_the_home_also_where_they_are_by_default(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert set(folders.caches_in_home({}, home)) == {"XDG_CACHE_HOME", *folders.XDG}
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "scratch")}
    assert folders.caches_in_home(elsewhere, home) == {}
    told = elsewhere | {"HF_HOME": str(home / "hf")}
    assert set(folders.caches_in_home(told, home, "apptainer")) == {
        "HF_HOME",
        "APPTAINER_CACHEDIR",
    }


def test_the_unrelated_package_called_petl_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shadow() is None
    (tmp_path / "petl-1.7.15.dist-info").mkdir()
    (tmp_path / "petl-1.7.15.dist-info" / "METADATA").write_text("Name: petl\nVersion: 1.7.15\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert f"petl 1.7.15 is installed in {tmp_path}" in (shadow() or "")


# --- what a node says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("built_for", "capability", "expected"),
    [
        (PINNED, (8, 0), True),
        (PINNED, (8, 9), True),  # an L40 runs the machine code of its generation
        (PINNED, (9, 0), False),  # an H100 does not
        (PINNED, (7, 0), True),
        (PINNED, (7, 2), True),
        (PINNED, (3, 5), False),
        (["sm_90a", "compute_90"], (12, 0), True),
        (["sm_100"], (10, 3), True),
    ],
)
def test_a_gpu_that_torch_has_no_kernels_for_is_known(
    built_for: list[str], capability: tuple[int, int], expected: bool
) -> None:
    assert has_kernels(built_for, *capability) is expected


def node(name: str = "NVIDIA A100", capability: tuple[int, int] = (8, 0)) -> dict:
    """As a probe writes it."""
    card = {"name": name, "capability": list(capability), "bytes": 80e9}
    torch = {"version": "1.13.1+cu117", "cuda": "11.7", "gpus": [card], "built_for": PINNED}
    return {
        **software(),
        **{"node": "n1", "job": "7", "image": None, "driver": "535.104.05", "cards": []},
        **{"binds": [], "caches": [], "imports": {"troubles": {}, "seconds": 4.0}, "torch": torch},
        "folders": {"runs": {"same": True, "trouble": None}},
    }


def brought(facts: dict, **more: object) -> Brought:
    signals = {"SIGUSR2": 0.2, "SIGTERM": 0.1}
    have = {"started_s": 1.0, "round_trips": [0.2], "signals": signals, "requeued_s": 2.0}
    return Brought(facts=facts, **{**have, **more})


def test_a_node_that_has_everything_has_nothing_but_ok(tmp_path: Path) -> None:
    found = judged(patient(tmp_path), brought(node()))
    assert {one.level for one in found} == {"ok"}, found


def test_an_h100_with_the_pinned_torch_is_a_failure_that_names_the_way_out(tmp_path: Path) -> None:
    found = judged(patient(tmp_path), brought(node("NVIDIA H100", (9, 0))))
    (failed,) = [one for one in found if one.level == "failure"]
    assert "not NVIDIA H100 (9.0)" in failed.text and "sm_86" in failed.text
    assert "current stack" in failed.todo


@pytest.mark.parametrize(
    ("has", "level"), [("440.33.01", "failure"), ("470.57.02", "ok"), ("535.104.05", "ok")]
)
def test_a_driver_older_than_cuda_11_needs_is_a_failure(
    tmp_path: Path, has: str, level: str
) -> None:
    (found,) = driver(patient(tmp_path), {}, node() | {"driver": has})
    assert found.level == level
    assert ("minor compatibility" in found.text) is (has == "470.57.02")


@pytest.mark.parametrize(
    ("facts", "more", "level", "expected"),
    [
        ({"python": "3.9.1"}, {}, "warning", "3.9 on the node"),
        ({"cloudpickle": "1.0"}, {}, "warning", "cloudpickle"),
        ({"petl": "0.0.1"}, {}, "failure", "petl 0.1.0 here, 0.0.1 on the node"),
        ({"commit": "f" * 40}, {}, "warning", "commit"),
        ({"user_site": ["torch"]}, {}, "warning", "1 packages from ~/.local"),
        ({"binds": ["/scratch"]}, {}, "failure", "/scratch is not there inside"),
        ({"folders": {"runs": {"same": False, "trouble": None}}}, {}, "failure", "not the same"),
        ({"folders": {"runs": {"same": True, "trouble": "full"}}}, {}, "failure", "node: full"),
        ({"torch": None}, {}, "ok", "the same on both sides"),
        ({}, {"signals": {"SIGUSR2": None}}, "failure", "SIGUSR2, as before a time limit, does"),
        ({}, {"requeued_s": None}, "failure", "did not get back into the queue"),
        ({}, {"clock_s": 400.0}, "failure", "clocks differ by 400.0 s"),
        ({}, {"clock_s": 20.0}, "warning", "clocks differ by 20.0 s"),
        ({}, {"round_trips": [31.0]}, "warning", "an answer back: 31.0 s"),
    ],
)
def test_what_differs_between_the_sides_is_named(
    tmp_path: Path, facts: dict, more: dict, level: str, expected: str
) -> None:
    there = node() | facts
    if facts == {"torch": None}:
        there["imports"] = {"troubles": {"torch": "ImportError: libcuda"}, "seconds": 1.0}
    found = judged(patient(tmp_path), brought(there, **more))
    assert expected in said(found, level)


# --- on a real Slurm ------------------------------------------------------------------------------


@pytest.fixture
def roomy_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", *folders.XDG):
        monkeypatch.setenv(name, str(tmp_path / "caches"))
    monkeypatch.setenv("PETL_GIT_COMMIT", "0" * 40)  # a checkout may be worked on meanwhile
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.slurm
def test_on_a_real_slurm_all_is_well_and_nothing_is_left(
    tmp_path: Path, in_cluster: DevCluster, roomy_home: None
) -> None:
    result = doctor(tmp_path, "--cluster", profile(tmp_path, CPU), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)["findings"]
    # the tests themselves lie in /tmp, of which only the probe can tell that the nodes share it
    assert [one["check"] for one in found if one["level"] != "ok"] == ["shared"]
    told = "\n".join(one["text"] for one in found if one["group"] == "On a node")
    for expected in (
        "the same on both sides: Python",
        "the same and usable on the node: runs, data, cache",
        "SIGUSR2, as before a time limit, reached Python",
        "SIGTERM, as in a preemption, reached Python",
        "the interrupted job was in the queue again",
    ):
        assert expected in told
    assert not in_cluster.run("squeue", "-h").strip()
    for name in ("runs", "data", "cache"):
        assert not list((tmp_path / name).iterdir())


@pytest.mark.slurm
def test_a_broken_profile_fails_in_every_way_at_once_and_sends_no_job(
    tmp_path: Path, in_cluster: DevCluster
) -> None:
    text = "{partition: gup, gpus: 1, time: 60, container: {kind: apptainer, image: /no.sif"
    path = profile(tmp_path, f"{text}, binds: [/no/scratch]}}")
    result = doctor(Path("/srv"), "--cluster", path)  # a folder short enough for a line
    assert result.exit_code == 1
    for expected in (
        "failure there is no partition 'gup'; did you mean 'gpu'?",
        "failure a job of this profile is refused: sbatch: invalid partition specified: gup",
        "failure image /no.sif is not there",
        "failure bind /no/scratch is not there",
        "warning no job was sent",
    ):
        assert expected in " ".join(result.output.split())
    assert max(map(len, result.output.splitlines())) <= 80
    assert not in_cluster.run("squeue", "-h").strip()


@pytest.mark.slurm
def test_without_a_runs_folder_no_job_is_sent(tmp_path: Path, in_cluster: DevCluster) -> None:
    (tmp_path / "runs").touch()
    result = doctor(tmp_path, "--cluster", profile(tmp_path, CPU))
    assert result.exit_code == 1 and "no job was sent" in result.output, result.output


@pytest.mark.slurm
def test_a_probe_that_stays_pending_is_cancelled(tmp_path: Path, in_cluster: DevCluster) -> None:
    held = profile(tmp_path, f"{CPU}, sbatch: {{hold: true}}")
    result = doctor(tmp_path, "--cluster", held, "--wait", 0.01)
    assert result.exit_code == 0, result.output
    assert "did not start within 1 s (JobHeldUser) and is cancelled" in result.output
    assert not in_cluster.run("squeue", "-h").strip()


@pytest.mark.slurm
def test_a_doctor_that_is_interrupted_takes_its_job_along(
    tmp_path: Path, in_cluster: DevCluster
) -> None:
    held = profile(tmp_path, f"{CPU}, sbatch: {{hold: true}}")
    process = start("doctor", "--cluster", held, "--runs", tmp_path / "runs")
    until(lambda: in_cluster.run("squeue", "-h").strip(), 30)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "the probe job is cancelled" in err
    assert not in_cluster.run("squeue", "-h").strip()
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.slurm
def test_a_job_that_dies_is_quoted(tmp_path: Path, in_cluster: DevCluster) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'FATAL: cannot open the image'\nexit 255\n")
    python.chmod(0o755)
    path = profile(tmp_path, f"{CPU}, container: {{kind: venv, python: {python}}}")
    result = doctor(tmp_path, "--cluster", path)
    assert result.exit_code == 1
    assert "ended (failed) before it had done its part" in " ".join(result.output.split())
    assert "-> it said: FATAL: cannot open the image" in result.output
