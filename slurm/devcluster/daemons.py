"""How each daemon is started, and which command tells that it answers."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from slurm.devcluster.layout import Layout
from slurm.devcluster.processes import DAEMON_MARK, FOLDER_MARK

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # under sudo, PATH often lacks sbin

# A database that is thrown away need not survive a crash; slurmdbd asks for the last two.
MARIADB = (
    "--no-defaults",
    "--user=root",
    "--skip-networking",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    "--innodb-log-file-size=64M",
    "--innodb-buffer-pool-size=128M",
    "--innodb-lock-wait-timeout=900",
)


@dataclass(frozen=True)
class Daemon:
    name: str
    command: list[str]
    probe: list[str]
    """A command that succeeds and prints `answer` once the daemon works."""
    answer: str = ""
    port: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


def daemons(layout: Layout) -> dict[str, Daemon]:
    """By name, in the order in which they need each other."""
    conf, munge = str(layout.slurm_conf), layout.munge_socket.parent
    munge_socket, database_socket = (
        f"--socket={path}" for path in (layout.munge_socket, layout.mariadb_socket)
    )
    munged = ["munged", "-F", "--num-threads=10", munge_socket, f"--key-file={munge}/key"]
    munged += [f"--pid-file={munge}/pid", f"--seed-file={munge}/seed", f"--log-file={munge}/log"]
    mariadbd = ["mariadbd", *MARIADB, f"--datadir={layout.database}", database_socket]
    mariadbd += [f"--pid-file={layout.state}/mariadbd.pid"]
    mysql = {"MYSQL_UNIX_PORT": str(layout.mariadb_socket)}
    ping = ["mariadb-admin", "--no-defaults", database_socket, "ping"]
    known = [
        Daemon("munged", munged, ["munge", "--no-input", munge_socket]),
        Daemon("mariadbd", mariadbd, ping),
        Daemon("slurmdbd", ["slurmdbd", "-D"], ["sacctmgr", "list", "cluster"], environment=mysql),
        Daemon("slurmctld", ["slurmctld", "-D", "-f", conf], ["scontrol", "ping"], "is UP"),
    ]
    for node in layout.node_names:
        command = ["slurmd", "-D", "-f", conf, "-N", node]
        # Slurm needs a while to learn that a slurmd has died; its port tells at once
        sinfo = ["sinfo", "-h", "--responding", "-t", "idle,mix,alloc,comp", "-n", node, "-o", "%N"]
        known.append(Daemon(node, command, sinfo, node, port=layout.slurmd_port(node)))
    return {daemon.name: daemon for daemon in known}


def client_environment(layout: Layout) -> dict[str, str]:
    """This process's, without what another Slurm has left in it."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
    ours["PATH"] = f"{ours.get('PATH', PATH)}:/usr/sbin:/sbin"
    return {**ours, "SLURM_CONF": str(layout.slurm_conf)}


def environment(layout: Layout, name: str) -> dict[str, str]:
    """A daemon's: little, so that it is the same from any shell, and the marks of our processes."""
    basics = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
    marks = {FOLDER_MARK: str(layout.folder), DAEMON_MARK: name}
    return {**basics, "SLURM_CONF": str(layout.slurm_conf), **marks}


def output_file(layout: Layout, name: str) -> Path:
    return layout.logs / f"{name}.out"


def start(daemon: Daemon, layout: Layout) -> subprocess.Popen[bytes]:
    """In a session of its own. Its output is kept beside its log, which has times but begins only
    when the configuration has been read."""
    with output_file(layout, daemon.name).open("wb") as out:
        return subprocess.Popen(
            daemon.command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=layout.folder,
            env={**environment(layout, daemon.name), **daemon.environment},
            start_new_session=True,
        )
