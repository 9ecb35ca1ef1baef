"""Make the cluster's folder: claim it, write what the daemons read, create the database."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from petl.errors import UserError, reason
from slurm.devcluster import config
from slurm.devcluster.daemons import MARIADB, environment
from slurm.devcluster.layout import LAYOUT_FILE, Layout

LIMIT_S = 120.0  # for MariaDB's first tables, which take two seconds on an idle machine


def claim(layout: Layout) -> None:
    """Make the folder, and mark it as ours before anything else is written to it."""
    folder = layout.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"{folder} is not empty; choose another --folder")
        layout.write()
        folder.chmod(0o755)  # whatever root's umask is: other users read the files in there
        layout.file.chmod(0o644)
    except FileExistsError:
        raise UserError(f"{folder}: another process is starting a cluster there") from None
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}") from None


def is_only_claimed(folder: Path) -> bool:
    """Nothing was written there after the claim, or not even that."""
    return folder.is_dir() and all(path.name == LAYOUT_FILE for path in folder.iterdir())


def write_files(layout: Layout) -> None:
    """Folders, devices, configuration files and the munge key."""
    etc, munge = layout.slurm_conf.parent, layout.munge_socket.parent
    devices = layout.devices
    public = [etc, munge, layout.logs]
    public += [layout.folder / part / node for part in ("spool", "dev") for node in devices]
    for folder, mode in [(one, 0o755) for one in public] + [
        (layout.state, 0o700),
        (layout.database, 0o700),
    ]:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
    for device in (device for gpus in devices.values() for device in gpus):
        device.symlink_to("/dev/null")  # a character device that exists: mknod is not needed
    _write(munge / "key", os.urandom(128), 0o600)
    _write(layout.slurm_conf, config.slurm_conf(layout).encode(), 0o644)
    _write(etc / "gres.conf", config.gres_conf(layout).encode(), 0o644)
    _write(etc / "slurmdbd.conf", config.slurmdbd_conf(layout).encode(), 0o600)


def create_database(layout: Layout) -> None:
    command = ["mariadb-install-db", *MARIADB, "--skip-test-db", f"--datadir={layout.database}"]
    try:
        done = subprocess.run(
            command,
            env=environment(layout, "mariadbd"),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} did not finish within {LIMIT_S:.0f} s") from None
    if done.returncode:
        raise UserError(f"{command[0]} failed: {done.stdout}{done.stderr}")


def _write(path: Path, data: bytes, mode: int) -> None:
    path.touch(mode)  # before the content: a key is never readable by others
    path.chmod(mode)
    path.write_bytes(data)
