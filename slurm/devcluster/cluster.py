"""The cluster as a whole: start it, stop it, and let its daemons and nodes fail in between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from petl.errors import UserError
from slurm.devcluster import processes, setup
from slurm.devcluster.daemons import Daemon, client_environment, daemons, output_file, start
from slurm.devcluster.layout import DEFAULT_FOLDER, Layout, is_free
from slurm.devcluster.packages import why_unavailable

LIMIT_S = 60.0  # for any one step; on a busy machine a database needs ten seconds
PROBE_S = 15.0  # for one question to a daemon, which Slurm's clients would repeat for long
POLL_S = 0.1


class ClusterError(UserError):
    """Something failed or did not happen in time."""


class DevCluster:
    """`with DevCluster(folder) as cluster:` starts it, and removes it without a trace at the end.

    Objects are cheap: another process can make its own for the same folder.
    """

    def __init__(self, folder: Path | str | None = None, nodes: int = 4, gpus: int = 2):
        self.folder = Path(folder or DEFAULT_FOLDER).absolute()
        self._size = (nodes, gpus)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> DevCluster:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.down()

    @property
    def layout(self) -> Layout:
        layout = Layout.read(self.folder)
        if layout is None:
            raise UserError(f"no cluster is up in {self.folder}")
        return layout

    # --- up, status, down

    def up(self) -> bool:
        """Return when every node is idle: True if it was started, False if it was up before."""
        if Layout.read(self.folder):
            if dead := [name for name, alive in self.status().items() if not alive]:
                text = f"{self.folder}: {', '.join(dead)} not running"
                raise UserError(f"{text}; take the cluster down, then start it again")
            return False
        if reason := why_unavailable():
            raise UserError(reason)
        layout = Layout.new(self.folder, *self._size)
        setup.claim(layout)
        setup.write_files(layout)
        setup.create_database(layout)
        self._start("munged", "mariadbd")
        self._start("slurmdbd")
        self.run("sacctmgr", "-i", "add", "cluster", layout.name)
        self._start("slurmctld", *layout.node_names)
        return True

    def status(self) -> dict[str, bool]:
        """Which daemons run, in the order in which they need each other."""
        _require_root()
        layout = self.layout
        alive = processes.cluster_processes(layout)
        return {name: any(p.is_daemon(name) for p in alive) for name in daemons(layout)}

    def down(self) -> bool:
        """Kill its daemons and jobs and remove the folder; False if there was nothing."""
        layout = Layout.read(self.folder)
        if layout is None:
            if setup.is_only_claimed(self.folder):  # an `up` that was killed in its first moment
                shutil.rmtree(self.folder)
                return True
            return False
        _require_root()
        if left := processes.kill_all(layout, LIMIT_S):
            raise ClusterError(f"cannot kill the processes {left}, so {self.folder} is kept")
        for child in self._children.values():
            child.wait()
        shutil.rmtree(self.folder)
        return True

    # --- for tests

    def environment(self) -> dict[str, str]:
        """For a subprocess that uses this cluster."""
        return client_environment(self.layout)

    def run(self, *command: str, timeout_s: float = LIMIT_S) -> str:
        """The output of a command that uses this cluster."""
        try:
            done = subprocess.run(
                command,
                env=self.environment(),
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            text = f"{' '.join(command)}: no answer within {timeout_s:.0f} s"
            raise ClusterError(text) from None
        if done.returncode:
            error = done.stderr.strip() or f"exit code {done.returncode}"
            raise ClusterError(f"{' '.join(command)}: {error}")
        return done.stdout

    def kill_daemon(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal and wait until the daemon is gone. A node's slurmd goes by its name."""
        self._daemon(name)
        if process := processes.find_daemon(self.layout, name):
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
        end = time.monotonic() + LIMIT_S
        while processes.find_daemon(self.layout, name):
            if time.monotonic() > end:
                raise self._error(name, f"survived signal {number}")
            self._reap()
            time.sleep(POLL_S)
        self._reap()

    def start_daemon(self, name: str) -> None:
        """Start it unless it runs, and wait until it answers."""
        if processes.find_daemon(self.layout, name):
            self._await(name)
        else:
            self._start(name)

    def restart(self, name: str) -> None:
        self.kill_daemon(name, signal.SIGTERM)
        self.start_daemon(name)

    def node_down(self, node: str) -> None:
        """As if its power failed: all its processes die, and Slurm is told at once.

        Its jobs are requeued or end as NODE_FAIL. Telling Slurm is not enough by itself: it would
        take the node back as soon as its slurmd registers again.
        """
        self._daemon(node)
        processes.kill_all(self.layout, LIMIT_S, node)
        self._reap()
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def node_up(self, node: str) -> None:
        self.start_daemon(node)

    # --- one daemon

    def _daemon(self, name: str) -> Daemon:
        known = daemons(self.layout)
        if name not in known:
            raise UserError(f"no daemon {name!r}; there are {', '.join(known)}")
        return known[name]

    def _start(self, *names: str) -> None:
        for name in names:
            self._children[name] = start(self._daemon(name), self.layout)
        for name in names:
            self._await(name)

    def _await(self, name: str) -> None:
        end = time.monotonic() + LIMIT_S
        while not self._answers(self._daemon(name)):
            self._reap()
            if not processes.find_daemon(self.layout, name):
                raise self._error(name, "ended at once")
            if time.monotonic() > end:
                raise self._error(name, f"does not answer within {LIMIT_S:.0f} s")
            time.sleep(POLL_S)

    def _answers(self, daemon: Daemon) -> bool:
        if daemon.port and is_free(daemon.port):
            return False
        try:
            return daemon.answer in self.run(*daemon.probe, timeout_s=PROBE_S)
        except ClusterError:
            return False

    def _reap(self) -> None:
        """A dead child that nobody waits for would stay in the process table as a zombie."""
        for child in self._children.values():
            child.poll()

    def _error(self, name: str, what: str) -> ClusterError:
        """With the first error of its output, else the last line."""
        output = output_file(self.layout, name)
        lines = output.read_text(errors="replace").splitlines() if output.exists() else []
        errors = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
        quoted = [*errors[:1], *lines[-1:], "it printed nothing"][0]
        return ClusterError(f"{name} {what}: {quoted} (all of it is in {output})")


def _require_root() -> None:
    """Other users cannot see root's processes, and would conclude that nothing runs."""
    if os.geteuid():
        raise UserError("only root can start, check or stop the cluster; any user can submit to it")
