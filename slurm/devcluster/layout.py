"""What a development cluster consists of and where it lies: one folder and a block of ports."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from petl.errors import UserError

DEFAULT_FOLDER = Path("/tmp/petl-devcluster")
LONGEST_SOCKET = 107  # sockaddr_un of Linux, less the final zero

# Below Linux's range of ephemeral ports: a daemon that is restarted must find its port free again.
PORTS = range(16800, 32000)


@dataclass(frozen=True)
class Layout:
    """Everything that differs from one cluster to another; the rest is in `config.py`."""

    folder: Path
    base_port: int
    host: str
    name: str  # drawn by lot: by it the jobs of this cluster are known, whatever else runs here
    nodes: int
    gpus: int  # of each node, make-believe
    cpus: int = 16  # of each node, claimed
    memory_mb: int = 64_000  # of each node, claimed

    def __post_init__(self) -> None:
        if len(os.fsencode(self.mariadb_socket)) > LONGEST_SOCKET:
            raise UserError(f"{self.folder}: the path is too long to hold sockets")
        if not self.folder.is_absolute() or any(c in " #,%\\\"'" for c in str(self.folder)):
            raise UserError(f"{self.folder}: Slurm's files cannot name such a folder")

    @property
    def node_names(self) -> list[str]:
        return [f"node{number}" for number in range(1, self.nodes + 1)]

    @property
    def slurmctld_port(self) -> int:
        return self.base_port

    @property
    def slurmdbd_port(self) -> int:
        return self.base_port + 1

    def slurmd_port(self, node: str) -> int:
        return self.base_port + 2 + self.node_names.index(node)

    # --- the folder

    @property
    def layout_file(self) -> Path:
        return self.folder / "layout.json"

    @property
    def slurm_conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def pids(self) -> Path:
        return self.folder / "pid"

    @property
    def munge_key(self) -> Path:
        return self.folder / "etc" / "munge.key"

    @property
    def munge_socket(self) -> Path:
        return self.folder / "munge" / "socket"

    @property
    def database(self) -> Path:
        return self.folder / "mariadb"

    @property
    def mariadb_socket(self) -> Path:
        return self.database / "mariadb.socket"

    @cached_property
    def devices(self) -> dict[str, list[Path]]:
        """Slurm numbers a GPU by the digits at the end of its file's name."""
        folder = self.folder / "dev"
        return {n: [folder / n / f"gpu{i}" for i in range(self.gpus)] for n in self.node_names}

    # --- kept in the folder itself

    def write(self) -> None:
        """Claim the folder: of two that try at the same time, one gets a FileExistsError."""
        with self.layout_file.open("x") as file:
            json.dump({**asdict(self), "folder": str(self.folder)}, file, indent=1)

    @classmethod
    def read(cls, folder: Path) -> Layout | None:
        """That of the cluster in this folder, or None where there is none, or not yet."""
        with suppress(OSError, ValueError, TypeError):
            values = json.loads((folder / "layout.json").read_bytes())
            return cls(**{**values, "folder": Path(values["folder"])})
        return None

    @classmethod
    def new(cls, folder: Path, nodes: int, gpus: int) -> Layout:
        host, base = socket.gethostname().partition(".")[0], free_ports(2 + nodes)
        return cls(folder.absolute(), base, host, f"dev{secrets.token_hex(4)}", nodes, gpus)


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on; at random, so that two clusters
    that start at the same time hardly meet."""
    for _ in range(200):
        base = random.choice(PORTS)
        if all(is_free(port) for port in range(base, base + count)):
            return base
    raise UserError(f"no {count} free ports in a row between {PORTS.start} and {PORTS.stop}")


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            listener.bind(("", port))
            return True
    return False


def folders(layout: Layout) -> Iterator[tuple[Path, int]]:
    """What is made before anything starts, with its mode: users need their way to the socket."""
    for path in (layout.slurm_conf.parent, layout.munge_socket.parent, layout.pids):
        yield path, 0o755
    for path in (layout.state, layout.database):
        yield path, 0o700
    yield layout.logs, 0o755
    for node, files in layout.devices.items():
        yield layout.folder / "spool" / node, 0o755
        for file in files[:1]:
            yield file.parent, 0o755
