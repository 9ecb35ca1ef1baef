"""Run directories by the thousand: made up, for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from petl.terminal import StudyFile, console, interruptible


def fabricate(
    study: StudyFile,
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where they go.")],
    accuracy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML: esc50: {lora: 0.84, 'conformer-*': 0.86}."),
    ] = None,
    spread: Annotated[float, typer.Option(min=0, help="Standard deviation over folds.")] = 0.015,
    share: Annotated[float, typer.Option(min=0, max=1, help="So many of the runs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same makes the same.")] = 0,
) -> None:
    """Make up a study's finished runs, labelled as such, to try tables and notebooks on.

    Nothing is trained. Where real runs of the study are, nothing is made.

    \b
    Example:
      petl fabricate experiments/table1.yaml --runs made-up
    """
    from petl.fabricate import LABEL, fabricate, read_accuracies
    from petl.study import load_study

    loaded = load_study(study)
    chosen = read_accuracies(accuracy, loaded.tasks) if accuracy else None
    with interruptible("the same command makes the rest"), console().status("") as status:

        def tell(done: int) -> None:
            if done % 100 == 0:
                status.update(f"{done} of {len(loaded.tasks)}")

        made = fabricate(loaded, runs, chosen, spread=spread, seed=seed, share=share, tell=tell)
    console().print(f"{made} made-up runs in {runs / loaded.name}: see {LABEL}", soft_wrap=True)
