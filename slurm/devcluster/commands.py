"""`petl devcluster`: a Slurm of one's own on this machine."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from petl.errors import several
from petl.terminal import echo, interruptible, leave
from slurm.devcluster import DEFAULT_FOLDER, ClusterError, DevCluster, packages
from slurm.devcluster.config import PARTITIONS

devcluster = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Folder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="Where all its files are [/tmp/petl-devcluster]."),
]


@devcluster.callback()
def about() -> None:
    """Run a real Slurm on this machine, in one folder, to try things before the login node.

    Needs root, and Debian or Ubuntu; see docs/devcluster.md.

    \b
    Example:
      petl devcluster up
      eval "$(petl devcluster env)"
      sbatch --gpus=1 --wrap 'echo GPU $CUDA_VISIBLE_DEVICES'
      petl devcluster down
    """


@devcluster.command(short_help="Start it.")
def up(
    folder: Folder = None,
    nodes: Annotated[int, typer.Option(min=1, max=64, help="Number of simulated nodes.")] = 4,
    gpus: Annotated[int, typer.Option(min=1, max=16, help="Simulated GPUs of each node.")] = 2,
    install: Annotated[
        bool, typer.Option("--install", help="Install missing packages with apt-get.")
    ] = False,
) -> None:
    """Start a Slurm of several simulated nodes, which takes seconds.

    \b
    Example:
      petl devcluster up --install
    """
    if install and (absent := packages.missing()):
        echo(f"installing {' '.join(absent)} with apt-get")
        packages.install(absent)
    cluster, began = DevCluster(folder, nodes, gpus), time.monotonic()
    todo = f"`petl devcluster down{_option(cluster)}` removes what is left"
    with interruptible(todo):
        try:
            is_new = cluster.up()
        except ClusterError as error:
            leave(f"{error}; {todo}", 1)
    _explain(cluster, f"up in {time.monotonic() - began:.1f} s" if is_new else "already up")


@devcluster.command(short_help="Show whether it runs, and how to use it.")
def status(folder: Folder = None) -> None:
    """Show whether it runs, and how to use it; exits with 1 if a daemon does not run.

    \b
    Example:
      petl devcluster status && sinfo
    """
    cluster = DevCluster(folder)
    if dead := [name for name, alive in cluster.status().items() if not alive]:
        leave(f"{', '.join(dead)} not running; the logs are in {cluster.layout.logs}", 1)
    _explain(cluster, "up")


@devcluster.command(short_help="Print the line that makes a shell use it.")
def env(folder: Folder = None) -> None:
    """Print the line that makes a shell, and what it starts, use this cluster.

    \b
    Example:
      eval "$(petl devcluster env)"
    """
    conf = str(DevCluster(folder).layout.slurm_conf)
    echo(f"export SLURM_CONF={shlex.quote(conf)}")


@devcluster.command(short_help="Stop it and remove all its files.")
def down(folder: Folder = None) -> None:
    """Kill its daemons and jobs and remove its folder.

    \b
    Example:
      petl devcluster down
    """
    cluster = DevCluster(folder)
    removed = cluster.down()
    echo(f"removed {cluster.folder}" if removed else f"no cluster is up in {cluster.folder}")


def _option(cluster: DevCluster) -> str:
    """What the next command needs to find the same cluster."""
    folder = cluster.folder
    return "" if folder == DEFAULT_FOLDER else f" --folder {shlex.quote(str(folder))}"


def _explain(cluster: DevCluster, state: str) -> None:
    layout, option = cluster.layout, _option(cluster)
    hints = {
        f'eval "$(petl devcluster env{option})"': "make this shell use it",
        "sbatch --gpus=1 JOB": "submit a job; it gets the number of a GPU",
        f"petl devcluster down{option}": "stop it, jobs included, and remove its files",
    }
    width = max(map(len, hints))
    size = f"{several(layout.nodes, 'node')} with {several(layout.gpus, 'simulated GPU')} each"
    echo(f"{state}: {size}, in {layout.folder}\n")
    for name, (_, meaning) in PARTITIONS.items():
        echo(f"  {name:{width}}  {meaning}")
    echo()
    for command, meaning in hints.items():
        echo(f"  {command:{width}}  {meaning}")
