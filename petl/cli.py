"""The one command. What is heavy is imported where it is needed, so that `petl --help` is quick."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from petl import (
    __version__,
    cli_cluster,
    cli_data,
    cli_doctor,
    cli_figures,
    cli_jobs,
    cli_models,
    cli_packed,
    cli_report,
    cli_results,
    cli_runs,
    cli_submit,
    cli_train,
)
from petl.errors import UserError
from petl.terminal import (
    Petl,
    RunsDir,
    StudyFile,
    console,
)

app = typer.Typer(
    name="petl",
    cls=Petl,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each command has an example: petl plan --help",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"petl {__version__}")
        raise typer.Exit


@app.callback()
def petl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Parameter-efficient transfer learning of the Audio Spectrogram Transformer.

    A study becomes runs, and runs become a table.
    """


# --- plan, submit, look on ------------------------------------------------------------------------


@app.command(short_help="Show what would run.")
def plan(
    study: StudyFile,
    each: Annotated[bool, typer.Option("--list", help="A line for each run instead.")] = False,
    runs: RunsDir = None,
) -> None:
    """Show what would run: how much is done, how much is left, how long it takes.

    \b
    Example:
      petl plan experiments/table1.yaml
      petl plan experiments/table1.yaml --list | grep lora
    """
    from petl.places import Places
    from petl.study import load_study
    from slurm.plan import Plan
    from slurm.view import lines, overview

    plan = Plan(load_study(study), Places.choose(runs).runs)
    if each:
        console().print(*lines(plan), sep="\n", soft_wrap=True)
    else:
        console().print(overview(plan))


app.command(short_help="Submit what is neither done nor queued nor running.")(cli_submit.submit)
app.command(short_help="Show how far the runs are.")(cli_jobs.status)
app.command(short_help="List runs, a line each.")(cli_jobs.ls)
app.command(short_help="Show what a run has printed.")(cli_jobs.logs)
app.command(short_help="Take runs out of the queue.")(cli_jobs.cancel)
app.command(short_help="Submit failed runs again.")(cli_submit.retry)
app.command(short_help="Remove what nobody needs any more.")(cli_jobs.clean)


# --- a single run ---------------------------------------------------------------------------------


app.command(short_help="Train one task, in this process.")(cli_train.train)
app.command(short_help="Pre-train the small AST that comes along.")(cli_train.pretrain)


# --- results --------------------------------------------------------------------------------------


app.command(short_help="Make the table and the figure.")(cli_results.table)
app.command(short_help="Make a page of a study to send and keep.")(cli_report.report)
app.command(short_help="Draw a figure for print.")(cli_figures.figure)
app.command(short_help="Execute a notebook of analysis/.")(cli_figures.notebook)
app.command(short_help="Measure a trained run again.")(cli_runs.evaluate)
app.command(short_help="Ask a trained run about sound files.")(cli_runs.predict)
app.command(short_help="Hand a trained run on to others.")(cli_runs.export)
app.command(short_help="Draw how runs converged.")(cli_runs.curves)
app.command(short_help="Count what each method trains.")(cli_models.count)
app.command(short_help="Draw a layer with a method on it.")(cli_models.draw)
app.command(short_help="Take over a checkpoint of the paper's code.")(cli_models.import_authors)
app.command(short_help="Pack finished runs into two files.")(cli_packed.compact)
app.command(hidden=True)(cli_packed.fabricate)
app.add_typer(cli_data.commands, name="data", short_help="Fetch, check and prepare a dataset.")
app.command(short_help="Find what would break a study, before it is submitted.")(cli_doctor.doctor)
app.add_typer(cli_cluster.devcluster, name="devcluster", short_help="A Slurm to rehearse with.")


@app.command(short_help="Print the JSON Schema of a study.")
def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
) -> None:
    """Print the JSON Schema of a study: with it an editor completes and checks one as you type.

    \b
    Example:
      petl schema --out experiments/study.schema.json
    """
    from petl.files import write_atomic
    from petl.schema import study_schema

    text = json.dumps(study_schema(), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        write_atomic(out, text.encode())
    except OSError as error:
        raise UserError(f"{out}: {(error.strerror or str(error)).lower()}") from None


def main() -> None:
    for stream in (sys.stdout, sys.stderr):  # a glyph that a terminal lacks is no reason to fail
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app(prog_name="petl")


if __name__ == "__main__":
    main()
