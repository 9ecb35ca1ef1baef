"""The development cluster: its files as text, and a real one where Slurm is installed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.errors import UserError
from slurm.devcluster import ClusterError, DevCluster, Layout, config, processes
from slurm.devcluster.daemons import daemons

LAYOUT = Layout(Path("/tmp/c"), base_port=17000, host="box", name="dev17000", nodes=2, gpus=2)


def settings(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {key: value for key, _, value in pairs}


# --- what is written, without root ----------------------------------------------------------------


def test_each_node_has_its_port_and_its_gpus() -> None:
    nodes = [line for line in config.slurm_conf(LAYOUT).splitlines() if "NodeName" in line]
    assert nodes == [
        "NodeName=node1 NodeHostname=box NodeAddr=127.0.0.1 Port=17002 CPUs=16 Boards=1"
        " SocketsPerBoard=1 CoresPerSocket=16 ThreadsPerCore=1 RealMemory=64000 Gres=gpu:2",
        "NodeName=node2 NodeHostname=box NodeAddr=127.0.0.1 Port=17003 CPUs=16 Boards=1"
        " SocketsPerBoard=1 CoresPerSocket=16 ThreadsPerCore=1 RealMemory=64000 Gres=gpu:2",
    ]
    assert config.gres_conf(LAYOUT) == (
        "AutoDetect=off\n"
        "NodeName=node1 Name=gpu File=/tmp/c/dev/node1/gpu0\n"
        "NodeName=node1 Name=gpu File=/tmp/c/dev/node1/gpu1\n"
        "NodeName=node2 Name=gpu File=/tmp/c/dev/node2/gpu0\n"
        "NodeName=node2 Name=gpu File=/tmp/c/dev/node2/gpu1\n"
    )


def test_jobs_of_a_higher_tier_preempt_killable_jobs_only() -> None:
    lines = [line for line in config.slurm_conf(LAYOUT).splitlines() if "PartitionName" in line]
    assert lines == [
        "PartitionName=DEFAULT Nodes=ALL DefMemPerCPU=1000 DefaultTime=60 MaxTime=UNLIMITED"
        " PreemptMode=OFF State=UP",
        "PartitionName=gpu Default=YES PriorityTier=2",
        "PartitionName=killable PriorityTier=1 PreemptMode=REQUEUE GraceTime=5",
        "PartitionName=urgent PriorityTier=3",
        "PartitionName=short PriorityTier=2 MaxTime=1 DefaultTime=1",
    ]


def test_the_daemons_agree_on_ports_and_sockets() -> None:
    conf = settings(config.slurm_conf(LAYOUT))
    database = settings(config.slurmdbd_conf(LAYOUT))
    assert conf["SlurmctldPort"] == "17000"
    assert conf["AccountingStoragePort"] == database["DbdPort"] == "17001"
    assert conf["AuthInfo"] == "socket=/tmp/c/munge/socket,cred_expire=10"
    assert database["AuthInfo"] == "socket=/tmp/c/munge/socket"
    assert conf["AccountingStoragePass"] == "/tmp/c/munge/socket"
    found = daemons(LAYOUT)
    assert "--socket=/tmp/c/munge/socket" in found["munged"].command
    assert "--socket=/tmp/c/mariadb/mariadb.socket" in found["mariadbd"].command
    assert found["slurmdbd"].environment == {"MYSQL_UNIX_PORT": "/tmp/c/mariadb/mariadb.socket"}


def test_daemons_write_into_the_folder_only() -> None:
    """Slurm's defaults are in /var and /run."""
    conf = settings(config.slurm_conf(LAYOUT))
    for key in ("StateSaveLocation", "SlurmdSpoolDir", "SlurmctldPidFile", "SlurmdPidFile"):
        assert conf[key].startswith("/tmp/c/")
    for key in ("SlurmctldLogFile", "SlurmdLogFile"):
        assert conf[key].startswith("/tmp/c/")
    for key in ("PidFile", "LogFile"):
        assert settings(config.slurmdbd_conf(LAYOUT))[key].startswith("/tmp/c/")


def test_a_folder_too_long_for_sockets_is_refused() -> None:
    with pytest.raises(UserError, match="too long a path"):
        Layout.new(Path("/tmp") / ("x" * 100), nodes=1, gpus=1)


def test_a_folder_with_other_files_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    cluster = DevCluster(tmp_path)
    with pytest.raises(UserError):  # whatever else keeps it from starting here
        cluster.up()
    assert not cluster.down()
    assert (tmp_path / "thesis.tex").exists()


def test_up_needs_root_and_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str:
        result = CliRunner().invoke(app, ["devcluster", "up", "--folder", str(tmp_path / "c")])
        assert result.exit_code == 2
        assert not (tmp_path / "c").exists()
        return result.output

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "needs root" in told()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda program, path: None)
    assert "apt-get install slurm-wlm slurmdbd munge mariadb-server" in told()


def test_a_cluster_that_is_not_up_is_named(tmp_path: Path) -> None:
    def petl(*arguments: str) -> tuple[int, str]:
        option = ["--folder", str(tmp_path / "none")]
        result = CliRunner().invoke(app, ["devcluster", *arguments, *option])
        return result.exit_code, result.output.strip()

    message = f"no cluster is up in {tmp_path}/none"
    assert petl("status") == (2, f"petl: {message}")
    assert petl("env") == (2, f"petl: {message}")
    assert petl("down") == (0, message)


# --- a real one -----------------------------------------------------------------------------------


def sbatch(cluster: DevCluster, tmp_path: Path, script: str, *options: str) -> str:
    options = ("--parsable", f"--output={tmp_path}/%j.txt", "--open-mode=append", *options)
    return cluster.run("sbatch", *options, "--wrap", script).strip()


def said(tmp_path: Path, job: str) -> str:
    output = tmp_path / f"{job}.txt"
    return output.read_text() if output.exists() else ""


def rows(cluster: DevCluster, job: str, fields: str) -> list[list[str]]:
    """What accounting says of the job, of each of its array tasks, of each time it ran."""
    options = ["--noheader", "--parsable2", "--allocations", "--duplicates", f"--format={fields}"]
    text = cluster.run("sacct", *options, "-j", job)
    return [line.split("|") for line in text.splitlines()]


def until(true: Callable[[], bool], what: str, limit_s: float = 40) -> float:
    """Seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < limit_s, what
        time.sleep(0.2)
    return time.monotonic() - began


def states(cluster: DevCluster, job: str) -> Counter[str]:
    return Counter(state.split()[0] for (state,) in rows(cluster, job, "State"))


@pytest.mark.slurm
def test_twelve_gpu_tasks_complete_and_accounting_says_so(
    cluster: DevCluster, tmp_path: Path
) -> None:
    script = "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES $SLURM_JOB_GPUS"
    job = sbatch(cluster, tmp_path, script, "--array=0-11", "--gpus=1")
    until(lambda: states(cluster, job) == {"COMPLETED": 12}, "twelve completed tasks")
    outputs = [path.read_text().split() for path in tmp_path.glob("*.txt")]
    assert len(outputs) == 12
    assert {gpu for _, gpu, _ in outputs} == {"0", "1"}
    assert all(seen == given for _, seen, given in outputs)
    assert {node for node, _, _ in outputs} > {"node1"}
    assert all("gres/gpu=1" in tres for (tres,) in rows(cluster, job, "AllocTRES"))


@pytest.mark.slurm
def test_a_killed_controller_starts_again_and_loses_no_job(
    in_cluster: DevCluster, tmp_path: Path
) -> None:
    """Once its state is written, that is: what it was told in the last seconds dies with it."""
    submitted = time.time()
    job = sbatch(in_cluster, tmp_path, "sleep 8")
    saved = in_cluster.layout.state / "job_state"
    until(lambda: saved.exists() and saved.stat().st_mtime > submitted + 1, "the state is saved")
    in_cluster.kill_daemon("slurmctld")
    assert not in_cluster.status()["slurmctld"]
    in_cluster.start_daemon("slurmctld")
    until(lambda: states(in_cluster, job) == {"COMPLETED": 1}, "the job is completed")


@pytest.mark.slurm
def test_a_node_that_fails_requeues_its_job(in_cluster: DevCluster, tmp_path: Path) -> None:
    job = sbatch(in_cluster, tmp_path, "echo began; sleep 60", "--nodelist=node4")
    until(lambda: "began" in said(tmp_path, job), "the job runs")
    in_cluster.node_down("node4")
    assert in_cluster.run("sinfo", "-h", "-n", "node4", "-o", "%T").startswith("down")
    until(lambda: "NODE_FAIL" in states(in_cluster, job), "accounting knows")
    assert in_cluster.run("squeue", "-h", "-o", "%t", "-j", job) == "PD\n"
    in_cluster.node_up("node4")
    again = sbatch(in_cluster, tmp_path, "true", "--nodelist=node4")
    until(lambda: states(in_cluster, again) == {"COMPLETED": 1}, "the node works again")


@pytest.mark.slurm
def test_a_time_limit_and_a_preemption_send_a_signal_first(
    in_cluster: DevCluster, tmp_path: Path
) -> None:
    """Both in one test, because Slurm looks at them only every 30 s."""
    waits = "trap 'echo heard; exit 1' TERM; echo began; sleep 90 & wait"
    late = sbatch(in_cluster, tmp_path, waits, "--partition=short")
    node = ["--gpus=2", "--nodelist=node1"]
    killable = sbatch(in_cluster, tmp_path, waits, "--partition=killable", *node)
    until(lambda: all("began" in said(tmp_path, job) for job in (late, killable)), "both run")
    soon = time.strftime("%FT%T", time.localtime(time.time() + 2))
    in_cluster.run("scontrol", "update", f"JobId={late}", f"EndTime={soon}")
    urgent = sbatch(in_cluster, tmp_path, "true", "--partition=urgent", *node)

    until(lambda: states(in_cluster, urgent) == {"COMPLETED": 1}, "the urgent job is done", 90)
    until(lambda: "PREEMPTED" in states(in_cluster, killable), "accounting knows")
    queued = ("squeue", "-h", "-o", "%t", "-j", killable)  # after a moment as CG, completing
    until(lambda: in_cluster.run(*queued).strip() in ("PD", "R"), "it is queued again")
    until(lambda: states(in_cluster, late) == {"TIMEOUT": 1}, "the other's time is up", 90)
    assert all("heard" in said(tmp_path, job) for job in (late, killable))


@pytest.mark.slurm
def test_down_leaves_nothing_even_of_a_broken_cluster(cluster: DevCluster) -> None:
    """`cluster` only says that Slurm is here: this one is brought up to be ruined."""
    folder = Path(f"{cluster.folder}-ruined")
    petl = [sys.executable, "-m", "petl.cli", "devcluster"]

    def run(command: str) -> subprocess.CompletedProcess[str]:
        option = ["--folder", str(folder)]
        return subprocess.run([*petl, command, *option], capture_output=True, text=True)

    try:
        assert "4 nodes" in run("up").stdout
        assert "already up" in run("up").stdout
        ruined = DevCluster(folder)
        layout = ruined.layout
        ruined.run("sbatch", "--output=/dev/null", "--wrap", "setsid sleep 300 & sleep 300")
        until(lambda: "R" in ruined.run("squeue", "-h", "-o", "%t"), "the job runs")
        for name in ("munged", "slurmctld", "node2"):
            ruined.kill_daemon(name)
        assert run("status").returncode == 1
        assert "munged, slurmctld, node2 not running" in run("up").stderr
        with ruined.layout.slurm_conf.open("a") as conf:
            conf.write("Nonsense=1\n")
        with pytest.raises(ClusterError, match=r"slurmctld ended at once: .*Nonsense"):
            ruined.start_daemon("slurmctld")
    finally:
        assert run("down").returncode == 0
    assert not folder.exists()
    assert processes.cluster_processes(layout) == []
    assert "no cluster" in run("down").stdout


@pytest.mark.slurm
def test_an_up_that_was_killed_can_be_taken_down(cluster: DevCluster) -> None:
    folder = Path(f"{cluster.folder}-begun")
    command = [sys.executable, "-m", "petl.cli", "devcluster", "up", "--folder", str(folder)]
    begun = DevCluster(folder)
    try:
        starting = subprocess.Popen(command)
        until(lambda: (folder / "log" / "mariadbd.out").exists(), "the database is being started")
        starting.kill()
        starting.wait()
        layout = begun.layout
    finally:
        assert begun.down()
    assert not folder.exists()
    assert processes.cluster_processes(layout) == []
