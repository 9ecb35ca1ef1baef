"""The cluster's folder: made, filled before anything starts, and known again for what it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from petl.errors import UserError, reason
from slurm.devcluster import config
from slurm.devcluster.daemons import MARIADB, marked
from slurm.devcluster.layout import Layout, folders

LIMIT_S = 120.0  # for MariaDB's first tables, which take two seconds on an idle machine


def claim(layout: Layout) -> None:
    """Make the folder, and mark it as ours before anything else is written to it."""
    folder = layout.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"{folder}: there is something else in this folder")
        layout.write()
        for path, mode in ((folder, 0o755), (layout.layout_file, 0o644)):
            path.chmod(mode)  # users look in there whatever root's umask is
    except FileExistsError:
        raise UserError(f"{folder}: somebody else is starting a cluster there") from None
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}") from None


def is_begun(folder: Path) -> bool:
    """Empty, or with nothing in it but what is written first."""
    return folder.is_dir() and all(path.name == "layout.json" for path in folder.iterdir())


def furnish(layout: Layout) -> str | None:
    """Write what the daemons read; what went wrong, if anything did."""
    for path, mode in folders(layout):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
    for file in (file for files in layout.devices.values() for file in files):
        file.symlink_to("/dev/null")  # a character device, without asking for the right to make one
    etc = layout.slurm_conf.parent
    _write(layout.munge_key, os.urandom(128), 0o600)
    _write(layout.slurm_conf, config.slurm_conf(layout).encode(), 0o644)
    _write(etc / "gres.conf", config.gres_conf(layout).encode(), 0o644)
    _write(etc / "slurmdbd.conf", config.slurmdbd_conf(layout).encode(), 0o600)
    return _make_database(layout)


def _make_database(layout: Layout) -> str | None:
    command = ["mariadb-install-db", *MARIADB, "--skip-test-db"]
    try:
        made = subprocess.run(
            [*command, f"--datadir={layout.database}"],
            env=marked(layout, "mariadbd"),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} was not done within {LIMIT_S:.0f} s"
    return f"{command[0]}:\n{made.stdout}{made.stderr}" if made.returncode else None


def _write(path: Path, data: bytes, mode: int) -> None:
    path.touch(mode)
    path.chmod(mode)
    path.write_bytes(data)
