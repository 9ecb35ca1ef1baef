"""A Slurm of one's own on this machine: `petl devcluster`."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.terminal import echo, interruptible, leave

if TYPE_CHECKING:
    from slurm.devcluster import DevCluster

devcluster = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Folder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="All of it is in there [/tmp/petl-devcluster]."),
]


@devcluster.callback()
def about() -> None:
    """A real Slurm on this machine, in one folder, to rehearse with before the login node.

    Needs root, and Debian or Ubuntu; docs/devcluster.md tells more.

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
    nodes: Annotated[int, typer.Option(min=1, max=64, help="Nodes it claims to have.")] = 4,
    gpus: Annotated[int, typer.Option(min=1, max=16, help="Make-believe GPUs of each.")] = 2,
    install: Annotated[
        bool, typer.Option("--install", help="apt-get install what is missing.")
    ] = False,
) -> None:
    """Start a Slurm of several make-believe nodes, which takes seconds.

    \b
    Example:
      petl devcluster up --install
    """
    from slurm.devcluster import ClusterError, DevCluster
    from slurm.devcluster.packages import install as install_packages
    from slurm.devcluster.packages import missing

    if install and (absent := missing()):
        echo(f"installing {' '.join(absent)} with apt-get")
        install_packages(absent)
    cluster, began = DevCluster(folder, nodes, gpus), time.monotonic()
    tidy = f"`petl devcluster down{_option(cluster)}` removes what there is"
    with interruptible(tidy):
        try:
            new = cluster.up()
        except ClusterError as error:
            leave(f"{error}\n{tidy}", 1)
    since = f"up in {time.monotonic() - began:.1f} s" if new else "up already"
    _explain(cluster, since)


@devcluster.command(short_help="Show whether it runs, and how to use it.")
def status(folder: Folder = None) -> None:
    """Show whether it runs, and how to use it; fails unless every part of it runs.

    \b
    Example:
      petl devcluster status && sinfo
    """
    from slurm.devcluster import DevCluster

    cluster = DevCluster(folder)
    if dead := [name for name, alive in cluster.status().items() if not alive]:
        leave(f"{', '.join(dead)} not running; logs are in {cluster.layout.logs}", 1)
    _explain(cluster, "up")


@devcluster.command(short_help="Print the line that makes a shell see it.")
def env(folder: Folder = None) -> None:
    """Print the line that makes a shell, and what it starts, see this cluster.

    \b
    Example:
      eval "$(petl devcluster env)"
    """
    from slurm.devcluster import DevCluster

    conf = str(DevCluster(folder).layout.slurm_conf)
    echo(f"export SLURM_CONF={shlex.quote(conf)}")


@devcluster.command(short_help="Remove it without a trace.")
def down(folder: Folder = None) -> None:
    """Kill its daemons and jobs and remove its folder. What is gone already does not matter.

    \b
    Example:
      petl devcluster down
    """
    from slurm.devcluster import ClusterError, DevCluster

    cluster = DevCluster(folder)
    try:
        was_there = cluster.down()
    except ClusterError as error:
        leave(str(error), 1)
    echo(f"{cluster.folder} is gone" if was_there else f"no cluster is up in {cluster.folder}")


def _option(cluster: DevCluster) -> str:
    """What the next command needs to find the same cluster."""
    from slurm.devcluster import DEFAULT_FOLDER

    folder = cluster.folder
    return "" if folder == DEFAULT_FOLDER else f" --folder {shlex.quote(str(folder))}"


def _explain(cluster: DevCluster, since: str) -> None:
    from slurm.devcluster.config import PARTITIONS

    layout, option = cluster.layout, _option(cluster)
    size = f"{layout.nodes} nodes with {layout.gpus} make-believe GPUs each"
    hints = {
        f'eval "$(petl devcluster env{option})"': "this shell sees it",
        "sbatch --gpus=1 JOB": "a job that is told the number of a GPU",
        f"petl devcluster down{option}": "it is gone, jobs and all",
    }
    width = max(map(len, hints))
    echo(f"{since}: {size}, in {layout.folder}\n")
    for partition in PARTITIONS:
        echo(f"  {partition.name:{width}}  {partition.meaning}")
    echo()
    for command, meaning in hints.items():
        echo(f"  {command:{width}}  {meaning}")
