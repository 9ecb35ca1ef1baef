"""`petl init`."""

from __future__ import annotations

import shlex
import shutil
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from petl.errors import UserError
from petl.places import Places
from petl.terminal import DataDir, console, need


class Sounds(str, Enum):
    speech = "speech"
    other = "other"


def init(
    what: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER|CSV]", help="A folder of sounds, or a table of them."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write [NAME.yaml].")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of a CSV with the classes.")
    ] = None,
    sound: Annotated[Sounds, typer.Option(help="What the clips are.")] = Sounds.other,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A preset [ast with Slurm or a GPU, else ast-small]."),
    ] = None,
    groups: Annotated[
        bool | None,
        typer.Option(help="Keep speakers or recordings together [from 5 in the names on]."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Instead, a study that varies this method's preset."),
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Instead, a profile of the cluster you are on.")
    ] = False,
    data: DataDir = None,
) -> None:
    """Look at your sounds, or at your cluster, and write what petl needs to know about them.

    The sounds stay where they are: the data folder gets a link to them. Nothing that exists is
    changed. The file is short and yours to edit.

    \b
    Example:
      petl init ~/sounds/birds
      petl init clips.csv --label species
      petl init --preset lora
      petl init --cluster
    """
    if [what is not None, preset is not None, cluster].count(True) != 1:
        raise UserError("name a folder or a CSV file, or use one of --preset NAME and --cluster")
    if cluster:
        from slurm.init.cluster import init_cluster

        init_cluster(out)
    elif preset is not None:
        from petl.init.preset import init_preset

        _next(init_preset(preset, out))
    elif what is not None:
        need("soundfile", "train")
        from petl.init.study import init_study

        choice, made = init_study(
            what,
            out,
            label=label,
            backbone=backbone or ("ast" if _has_slurm_or_gpu() else "ast-small"),
            sound=sound.value,
            by_group=groups,
            command=shlex.join(["petl", *sys.argv[1:]]),
            places=Places.choose(data=data),
        )
        table = Table.grid(padding=(0, 2))
        for reason in choice.reasons:
            table.add_row(*reason)
        console().print(table)
        _next(made, data)


def _next(made: list[Path], data: Path | None = None) -> None:
    words = ["petl", "submit", str(made[-1]), *(["--data", str(data)] if data else [])]
    for path in made:
        link = f", a link to {path.readlink()}" if path.is_symlink() else ""
        console().print(f"wrote {path}{link}", soft_wrap=True)
    console().print(f"next: {shlex.join(words)}", soft_wrap=True)


def _has_slurm_or_gpu() -> bool:
    return shutil.which("sbatch") is not None or any(Path("/dev").glob("nvidia[0-9]*"))
