"""The cluster as a whole: up, down, and what a rehearsal does to it in between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from petl.errors import UserError
from slurm.devcluster import processes
from slurm.devcluster.daemons import Daemon, client_environment, daemons, printed, start
from slurm.devcluster.furnish import claim, furnish, is_begun
from slurm.devcluster.layout import DEFAULT_FOLDER, Layout, is_free
from slurm.devcluster.packages import why_not

LIMIT_S = 60.0  # for any one thing; on a busy machine a database needs ten seconds
PROBE_S = 15.0  # for one question to a daemon, which Slurm's clients would repeat for long
POLL_S = 0.1
TAIL_LINES = 15


class ClusterError(RuntimeError):
    """Something did not happen in time; the message ends with what the log says of it."""


class DevCluster:
    """`with DevCluster(folder) as cluster:` is up inside and gone without a trace after.

    Objects are cheap: another process may make its own for the same folder.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.down()

    @property
    def layout(self) -> Layout:
        layout = Layout.read(self.folder)
        if layout is None:
            raise UserError(f"no cluster is up in {self.folder}")
        return layout

    # --- up, status, down

    def up(self) -> bool:
        """True once every node is idle, False where that was so before."""
        if Layout.read(self.folder):
            dead = [name for name, alive in self.status().items() if not alive]
            if dead:
                raise UserError(f"{self.folder}: {', '.join(dead)} not running; take it down first")
            return False
        if reason := why_not():
            raise UserError(reason)
        layout = Layout.new(self.folder, *self._size)
        claim(layout)
        if trouble := furnish(layout):
            raise ClusterError(trouble)
        for name in ("munged", "mariadbd"):
            self._launch(name)
        self._await("munged", "mariadbd")
        self.start_daemon("slurmdbd")
        self.run("sacctmgr", "-i", "add", "cluster", layout.name)
        for name in ("slurmctld", *layout.node_names):
            self._launch(name)
        self._await("slurmctld", *layout.node_names)
        return True

    def status(self) -> dict[str, bool]:
        """Which daemons run, in the order in which they need each other."""
        _only_root()
        layout = self.layout
        alive = processes.of_cluster(layout)
        return {name: any(p.is_daemon(name) for p in alive) for name in daemons(layout)}

    def down(self) -> bool:
        """Whether there was anything to take down. Jobs die with it, and the folder goes."""
        layout = Layout.read(self.folder)
        if layout is None:
            if is_begun(self.folder):  # an `up` that died before it could say what it is
                shutil.rmtree(self.folder)
                return True
            return False
        _only_root()
        left = processes.kill_all(layout, LIMIT_S)
        if left:
            raise ClusterError(f"processes {left} cannot be killed; {self.folder} is kept")
        for child in self._children.values():
            child.wait()
        shutil.rmtree(self.folder)
        return True

    # --- what tests and rehearsals do

    def environment(self) -> dict[str, str]:
        """For a subprocess that is to see this cluster."""
        return client_environment(self.layout)

    def run(self, *command: str, timeout_s: float = LIMIT_S) -> str:
        """What a command that sees this cluster prints; one that fails is an error."""
        try:
            ran = subprocess.run(
                command,
                env=self.environment(),
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{' '.join(command)}: no answer in {timeout_s:.0f} s") from None
        if ran.returncode:
            raise ClusterError(f"{' '.join(command)}: {ran.stderr.strip() or ran.returncode}")
        return ran.stdout

    def kill_daemon(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal and wait until the daemon is gone. A node's slurmd goes by its name."""
        layout, end = self.layout, time.monotonic() + LIMIT_S
        self._known(name)
        if process := processes.daemon(layout, name):
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
        while processes.daemon(layout, name):
            if time.monotonic() > end:
                raise self._error(name, f"survived signal {number}")
            self._reap()
            time.sleep(POLL_S)
        self._reap()

    def start_daemon(self, name: str) -> None:
        """Start it unless it runs, and wait until it answers."""
        if not processes.daemon(self.layout, name):
            self._launch(name)
        self._await(name)

    def restart(self, name: str) -> None:
        self.kill_daemon(name, signal.SIGTERM)
        self.start_daemon(name)

    def node_down(self, node: str) -> None:
        """As if its plug were pulled: nothing of it lives on, and Slurm is told at once.

        Its jobs are requeued or end as NODE_FAIL. Told alone, Slurm would take the node back as
        soon as its slurmd says hello.
        """
        self._known(node)
        processes.kill_all(self.layout, LIMIT_S, node)
        self._reap()
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=rehearsal")

    def node_up(self, node: str) -> None:
        self.start_daemon(node)

    # --- one daemon

    def _known(self, name: str) -> Daemon:
        known = daemons(self.layout)
        if name not in known:
            raise UserError(f"no daemon {name!r}: there are {', '.join(known)}")
        return known[name]

    def _launch(self, name: str) -> None:
        self._children[name] = start(self._known(name), self.layout)

    def _await(self, *names: str) -> None:
        for name in names:
            end = time.monotonic() + LIMIT_S
            while not self._answers(self._known(name)):
                self._reap()
                if not processes.daemon(self.layout, name):
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
        """A dead child that nobody waits for would stay in the process table."""
        for child in self._children.values():
            child.poll()

    def _error(self, name: str, trouble: str) -> ClusterError:
        log = printed(self.layout, name)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        tail = "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])
        return ClusterError(f"{name} {trouble}; {log} ends with\n{tail or '  (nothing)'}")


def _only_root() -> None:
    """Others cannot see root's processes, and would find that nothing runs."""
    if os.geteuid():
        raise UserError("only root can look after the cluster; to use it is everybody's right")
