"""What differs from one development cluster to another: its folder, ports and size."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from petl.errors import UserError

DEFAULT_FOLDER = Path("/tmp/petl-devcluster")
LAYOUT_FILE = "layout.json"
LONGEST_SOCKET = 107  # sockaddr_un.sun_path of Linux has 108 bytes, the last one is zero
CPUS, MEMORY_MB = 16, 64_000  # that each node claims to have

# Below Linux's ephemeral ports: a daemon that is restarted must find its port still free.
PORTS = range(16800, 32000)


@dataclass(frozen=True)
class Layout:
    folder: Path
    base_port: int
    """slurmctld's; the next ones are for slurmdbd and for the slurmd of each node."""
    host: str
    name: str
    """Random: it tells this cluster's jobs from those of any other on the machine."""
    nodes: int
    gpus: int
    """Of each node, simulated."""

    def __post_init__(self) -> None:
        if len(os.fsencode(self.mariadb_socket)) > LONGEST_SOCKET:
            raise UserError(f"{self.folder}: too long a path for sockets; choose a shorter one")
        if not self.folder.is_absolute() or any(c in " #,%\\\"'" for c in str(self.folder)):
            raise UserError(f"{self.folder}: Slurm does not accept special characters in a path")

    @classmethod
    def new(cls, folder: Path, nodes: int, gpus: int) -> Layout:
        host, base = socket.gethostname().partition(".")[0], free_ports(2 + nodes)
        return cls(folder.absolute(), base, host, f"dev{secrets.token_hex(4)}", nodes, gpus)

    @classmethod
    def read(cls, folder: Path) -> Layout | None:
        """Of the cluster in this folder; None if there is none, or it is just being made."""
        with suppress(OSError, ValueError, TypeError):
            values = json.loads((folder / LAYOUT_FILE).read_bytes())
            return cls(**{**values, "folder": Path(values["folder"])})
        return None

    def write(self) -> None:
        """Claim the folder: if two processes try at the same time, one gets a FileExistsError."""
        with self.file.open("x") as file:
            json.dump({**asdict(self), "folder": str(self.folder)}, file, indent=1)

    # --- what is where

    @property
    def node_names(self) -> list[str]:
        return [f"node{number}" for number in range(1, self.nodes + 1)]

    def slurmd_port(self, node: str) -> int:
        return self.base_port + 2 + self.node_names.index(node)

    @property
    def file(self) -> Path:
        return self.folder / LAYOUT_FILE

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
    def munge_socket(self) -> Path:
        return self.folder / "munge" / "socket"

    @property
    def database(self) -> Path:
        return self.folder / "mariadb"

    @property
    def mariadb_socket(self) -> Path:
        return self.database / "mariadb.socket"

    @property
    def devices(self) -> dict[str, list[Path]]:
        """By node. Slurm numbers a GPU by the digits at the end of its device's name."""
        folder = self.folder / "dev"
        return {n: [folder / n / f"gpu{i}" for i in range(self.gpus)] for n in self.node_names}


def free_ports(count: int) -> int:
    """The first of `count` free ports in a row, from a random start: two clusters that start at the
    same time hardly ever choose the same."""
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
