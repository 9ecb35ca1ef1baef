"""`petl reproduce` trains runs again; `petl verify` checks a bundle and may do the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from petl.terminal import (
    CacheDir,
    DataDir,
    RunsDir,
    Yes,
    console,
    echo,
    interruptible,
    need,
    progress_bars,
)

if TYPE_CHECKING:
    from petl.places import Places
    from petl.reproduce.outcome import Outcome
    from slurm.reproduce.again import Original

DAMAGED = 4
AGAIN = "run the same command again to continue"

Seed = Annotated[int, typer.Option(help="The same seed draws the same runs.")]
Trusted = Annotated[
    bool, typer.Option("--trust", help="Run the recorded code even if others may have written it.")
]
CodeOf = Annotated[
    Literal["own", "current"],
    typer.Option(help="Train with the code that the run recorded, or with the installed code."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Train here [a folder in RUNS/reproduced]."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def reproduce(
    words: Annotated[
        list[str],
        typer.Argument(metavar="RUN|STUDY...", help="Ids or folders of runs, or studies' files."),
    ],
    sample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only this many runs, drawn.")
    ] = None,
    seed: Seed = 0,
    python: Annotated[
        str, typer.Option(metavar="PATH", help="Train with another environment's Python.")
    ] = sys.executable,
    image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Train in a .sif file, an image's folder or name."),
    ] = None,
    slurm: Annotated[
        str | None, typer.Option(metavar="PROFILE", help="Train in jobs of this cluster profile.")
    ] = None,
    code: CodeOf = "own",
    trust: Trusted = False,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Runs at a time on this machine.")
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
    yes: Yes = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Train finished runs again, in a folder of their own, and compare every number.

    A run is identical (all epochs, scores and kept weights, bit for bit), within (it differs, but
    by no more than the folds of its cell do) or different. verdicts.json and verdicts.html have the
    details. The exit code is 0 if all are identical, 3 if some are within, 4 if some are different,
    5 if some failed, 6 if jobs are not finished yet: then run the same command again.

    \b
    Example:
      petl reproduce 3f2a91
      petl reproduce experiments/table1.yaml --sample 5 --seed 0
      petl reproduce 3f2a91 --python .venv-modern/bin/python
    """
    need("torch", "train")
    from petl.errors import UserError
    from petl.places import Places
    from slurm.reproduce.again import Trust, chosen, folder_for, original, take_generators

    if slurm and (image or python != sys.executable):
        raise UserError("--slurm PROFILE: the profile says which Python or image jobs use")
    if Path(python).is_dir() or not Path(python).exists():
        raise UserError(f"--python {python}: no such file; give an environment's bin/python")
    places = Places.choose(runs, data, cache)
    allowed = Trust(code == "current", trust)
    found = [original(run, allowed) for run in chosen(words, places.runs, sample, seed)]
    folder = out or folder_for(places.runs, python, image or slurm, code == "current")
    again = Places(folder.absolute(), places.data, places.cache)
    take_generators(found, places.runs, again.runs)
    if slurm:
        from slurm.reproduce.cluster import submit_again

        submit_again(found, again, slurm, yes)
    else:
        _train(found, again, places.runs, python, image, workers)
    _tell(found, again.runs, as_json)


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE.zip", help="Made by petl bundle.")],
    retrain: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Train this many of its runs again.")
    ] = None,
    seed: Seed = 0,
    code: CodeOf = "own",
    trust: Trusted = False,
    out: Out = None,
    as_json: AsJson = False,
    runs: RunsDir = None,
    data: DataDir = None,
    cache: CacheDir = None,
) -> None:
    """Check a bundle: every hash, that results belong to their tasks, and the table's numbers.

    Nothing is unpacked and no code of the bundle runs, unless --retrain comes with --trust. The
    exit code is 0 if the bundle is whole, 4 if not; with --retrain see `petl reproduce --help`.

    \b
    Example:
      petl verify table1.zip
      petl verify table1.zip --retrain 3 --seed 0
    """
    from petl.errors import several
    from petl.reproduce.verify import verify_bundle

    with progress_bars() as bars:
        checked = verify_bundle(bundle, bars)
    screen = console(stderr=as_json)
    for cell in checked.cells():
        spread = "" if cell.std is None else f" ± {cell.std:.4f}"
        name = f"{cell.dataset} · {cell.backbone} · {cell.method}"
        screen.print(
            f"{name}: {cell.mean:.4f}{spread} ({several(cell.runs, 'run')})", soft_wrap=True
        )
    for problem in checked.problems:
        screen.print(problem, soft_wrap=True)
    made_up = f"; {checked.synthetic} made up" if checked.synthetic else ""
    count = f"{len(checked.names)} of {checked.tasks} runs of {checked.study}{made_up}"
    whole = (
        "whole"
        if not checked.problems
        else f"NOT whole: {several(len(checked.problems), 'problem')}"
    )
    screen.print(f"{bundle}: {whole}; {count}", soft_wrap=True)
    if checked.problems:
        raise typer.Exit(DAMAGED)
    if retrain:
        need("torch", "train")
        from petl.places import Places
        from slurm.reproduce.again import Trust, folder_for, take_generators
        from slurm.reproduce.from_bundle import originals

        places = Places.choose(runs, data, cache)
        folder = out or folder_for(places.runs, sys.executable, None, code == "current")
        again = Places(folder.absolute(), places.data, places.cache)
        with originals(checked, retrain, seed, Trust(code == "current", trust)) as found:
            take_generators(found, places.runs, again.runs)
            _train(found, again, places.runs, sys.executable, None, None)
            _tell(found, again.runs, as_json)


def _train(
    found: Sequence[Original],
    again: Places,
    origin: Path,
    python: str,
    image: str | None,
    workers: int | None,
) -> None:
    from slurm.reproduce.here import train_here

    with interruptible(AGAIN):
        train_here(found, again, origin, python, image, workers)


def _tell(found: Sequence[Original], folder: Path, as_json: bool) -> None:
    from petl.reproduce.outcome import exit_code, in_words, write_outcomes
    from slurm.reproduce.again import outcomes

    judged = outcomes(found, folder)
    files = write_outcomes(judged, folder)
    if as_json:
        echo(files[0].read_text(), nl=False)
    else:
        _print(judged, in_words(judged), files)
    raise typer.Exit(exit_code(judged))


def _print(judged: Sequence[Outcome], summary: str, files: Sequence[Path]) -> None:
    screen = console()
    for one in judged:
        screen.print(f"{one.kind:<10} {one.title} (run {one.run_id})", soft_wrap=True)
        for name, text in one.facts():
            screen.print(f"           {name}: {text}", soft_wrap=True)
    screen.print(f"{summary}; see {files[1]}", soft_wrap=True)
