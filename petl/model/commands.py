"""Commands about models: count and draw."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.terminal import console, need

if TYPE_CHECKING:
    from rich.table import Table

    from petl.model.count import Counts


class Profile(str, Enum):
    as_run = "as-run"
    as_intended = "as-intended"


def count(
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY]", help="[experiments/table1.yaml]")
    ] = None,
) -> None:
    """Count what each method of a study trains, at full size, without loading any weights.

    The table also shows what the paper prints (without the head and the final LayerNorm) and what
    its released code trains on ESC-50. Generators are left out.

    \b
    Example:
      petl count experiments/table1.yaml
    """
    need("torch", "train")
    from petl.config.study import EXPERIMENTS, load_study
    from petl.config.yamlfile import read_yaml
    from petl.model.count import count as rows

    tasks = load_study(study or EXPERIMENTS / "table1.yaml").tasks
    tasks = [task for task in tasks if task.generator is None] or tasks
    paper = read_yaml(EXPERIMENTS / "paper.yaml").data
    groups: dict[str, list[Counts]] = {}
    for row in rows(tasks, paper):
        groups.setdefault(f"{row.names.dataset} · {row.names.backbone}", []).append(row)
    for title, group in groups.items():
        console().print(title, _table(group), sep="\n")


def _table(rows: list[Counts]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method")
    for title in ("trainable", "less head", "total", "released", "paper"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        ours = (row.trainable, row.without_head, row.total)
        theirs = "" if row.counted is None else "the same"
        if row.counted not in (None, ours):
            theirs = f"{row.counted[0]:,}"
        table.add_row(row.names.method, *(f"{n:,}" for n in ours), theirs, row.printed)
    return table


def draw(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A preset, such as lora.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PNG, PDF or SVG [METHOD.png].")
    ] = None,
    backbone: Annotated[str, typer.Option(help="A preset.")] = "ast",
    profile: Annotated[
        Profile, typer.Option(help="Settings of the released code, or those intended.")
    ] = Profile.as_run,
) -> None:
    """Draw a layer with a method: its modules, and how many parameters of each train.

    The picture is made from the model itself, at full size, without loading any weights. Files that
    petl did not make are not replaced.

    \b
    Example:
      petl draw conformer-houlsby --out conformer.pdf
    """
    need("torch", "train")
    need("matplotlib", "analysis")
    from petl.config.presets import task_of
    from petl.model.describe import describe
    from petl.model.draw import draw_file

    path = out or Path(f"{method}.png")
    draw_file(describe(task_of(method, backbone, profile.value)), path)
    console().print(path, soft_wrap=True)
