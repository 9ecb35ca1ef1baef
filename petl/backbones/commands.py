"""`petl fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from petl.terminal import CacheDir, console, interruptible, need


def fetch(
    studies: Annotated[
        list[Path], typer.Argument(metavar="STUDY...", help="YAML files, or names.")
    ],
    update: Annotated[
        bool, typer.Option("--update", help="Take the newest version of what is here already.")
    ] = False,
    cache: CacheDir = None,
) -> None:
    """Download the published backbones of studies into the cache, before any job needs them.

    The commit of each is written down: runs use it until --update takes a newer one, and record
    it in their results.

    \b
    Example:
      petl fetch experiments/table1.yaml
    """
    from petl.backbones.hub import Hub, published
    from petl.config.study import load_study
    from petl.places import Places

    hub = Hub.of(Places.choose(cache=cache))
    names = published(task for study in studies for task in load_study(study).tasks)
    say = console()
    if not names:
        say.print("nothing to download: all backbones are folders or come with petl")
    for name in names:
        folder = None if update else hub.snapshot(name)
        here = " was here already" if folder else ""
        if folder is None:
            need("huggingface_hub", "train")
            from petl.backbones.fetch import fetch as fetch_one

            with interruptible("run the same command again to resume"):
                folder = fetch_one(name, hub, update)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        say.print(f"{name}{here}: commit {folder.name}, {size:,.0f} MB", soft_wrap=True)
        say.print(f"  {folder}", soft_wrap=True)
