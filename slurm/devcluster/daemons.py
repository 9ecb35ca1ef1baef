"""How each daemon is started, and how one knows that it answers."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from slurm.devcluster.layout import Layout
from slurm.devcluster.processes import DAEMON_MARK, FOLDER_MARK

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # sbin is missing from the PATH of many a sudo

# A database that is thrown away needs no disk to be asked; slurmdbd wants the other two.
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
    probe: list[str]  # succeeds, printing `answer`, once the daemon is of use
    answer: str = ""
    port: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


def daemons(layout: Layout) -> dict[str, Daemon]:
    """In the order in which they need each other."""
    socket = f"--socket={layout.munge_socket}"
    munged = ["munged", "-F", "--num-threads=10", socket, f"--key-file={layout.munge_key}"]
    munged += [f"--{kind}-file={layout.munge_socket.parent / kind}" for kind in ("pid", "seed")]
    munged += [f"--log-file={layout.munge_socket.parent / 'log'}"]
    database = [f"--datadir={layout.database}", f"--socket={layout.mariadb_socket}"]
    conf = str(layout.slurm_conf)
    found = [
        Daemon("munged", munged, ["munge", "--no-input", socket]),
        Daemon(
            "mariadbd",
            ["mariadbd", *MARIADB, *database, f"--pid-file={layout.pids / 'mariadbd.pid'}"],
            ["mariadb-admin", "--no-defaults", f"--socket={layout.mariadb_socket}", "ping"],
        ),
        Daemon(
            "slurmdbd",
            ["slurmdbd", "-D"],
            ["sacctmgr", "--noheader", "list", "cluster"],
            environment={"MYSQL_UNIX_PORT": str(layout.mariadb_socket)},
        ),
        Daemon("slurmctld", ["slurmctld", "-D", "-f", conf], ["scontrol", "ping"], "is UP"),
    ]
    for node in layout.node_names:
        command = ["slurmd", "-D", "-f", conf, "-N", node]
        # Slurm learns only later that a slurmd has died; until then its port tells
        well = ["sinfo", "-h", "--responding", "-t", "idle,mix,alloc,comp", "-n", node, "-o", "%N"]
        found.append(Daemon(node, command, well, node, port=layout.slurmd_port(node)))
    return {daemon.name: daemon for daemon in found}


def client_environment(layout: Layout) -> dict[str, str]:
    """Ours, less what another Slurm has left in it."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
    ours["PATH"] = f"{ours.get('PATH', PATH)}:/usr/sbin:/sbin"
    return {**ours, "SLURM_CONF": str(layout.slurm_conf)}


def printed(layout: Layout, name: str) -> Path:
    return layout.logs / f"{name}.out"


def marked(layout: Layout, name: str) -> dict[str, str]:
    """Little enough to be the same from whatever shell, and the marks by which we know our own."""
    basics = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
    marks = {FOLDER_MARK: str(layout.folder), DAEMON_MARK: name}
    return {**basics, "SLURM_CONF": str(layout.slurm_conf), **marks}


def start(daemon: Daemon, layout: Layout) -> subprocess.Popen[bytes]:
    """In a session of its own. What it prints is kept beside its log, which has the times but
    begins only when the configuration has been read."""
    with printed(layout, daemon.name).open("wb") as out:
        return subprocess.Popen(
            daemon.command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=layout.folder,
            env={**marked(layout, daemon.name), **daemon.environment},
            start_new_session=True,
        )
