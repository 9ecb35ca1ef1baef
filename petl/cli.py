"""The command line: a table from each command's name to the function that runs it.

A function is imported when its command is called, so that `petl --help` is quick and a login node
loads nothing heavy. Each room owns its commands.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from petl import __version__
from petl.early import release
from petl.terminal import Petl, in_words

COMMANDS = {
    "init": ("slurm.init.commands:init", "Write a study of your own sounds, or a profile."),
    "plan": ("slurm.submit.commands:plan", "Show what is done and what is left."),
    "submit": ("slurm.submit.commands:submit", "Submit what is not done, queued or running."),
    "status": ("slurm.status.commands:status", "Show the progress of the runs."),
    "ls": ("slurm.status.commands:ls", "List runs, one per line."),
    "logs": ("slurm.status.commands:logs", "Show a run's log."),
    "show": ("petl.reproduce.commands:show", "Show a run's results, settings and environment."),
    "diff": ("petl.reproduce.commands:diff", "Show what differs between two runs."),
    "cancel": ("slurm.submit.commands:cancel", "Cancel queued and running jobs."),
    "retry": ("slurm.submit.commands:retry", "Submit failed runs again."),
    "clean": ("slurm.submit.commands:clean", "Remove what is no longer needed."),
    "train": ("petl.train.commands:train", "Train one task, in this process."),
    "pretrain": ("petl.train.commands:pretrain", "Pre-train an AST on sounds without labels."),
    "table": ("analysis.tables.commands:table", "Make the table and the figure."),
    "report": ("analysis.html.commands:report", "Make one HTML page of a study, to share."),
    "figure": ("analysis.figures.commands:figure", "Draw a figure for print."),
    "notebook": (
        "analysis.notebooks.commands:notebook",
        "Run a notebook on your runs.",
    ),
    "evaluate": ("petl.use.predict.commands:evaluate", "Evaluate a trained run again."),
    "predict": ("petl.use.predict.commands:predict", "Classify sound files with a trained run."),
    "generate": ("petl.generate.commands:generate", "Make synthetic clips with a generator."),
    "export": ("petl.use.commands:export", "Export a trained run for others to use."),
    "curves": ("analysis.figures.commands:curves", "Draw loss and accuracy over epochs."),
    "count": ("petl.model.commands:count", "Count what each method trains."),
    "draw": ("petl.model.commands:draw", "Draw a layer with a method attached."),
    "import-authors": (
        "petl.use.commands:import_authors",
        "Import a checkpoint of the paper's code.",
    ),
    "adopt": ("petl.runs.commands:adopt", "Take over the runs of a renamed study."),
    "compact": ("petl.runs.commands:compact", "Pack finished runs into two files."),
    "fabricate": ("petl.runs.commands:fabricate", ""),
    "fetch": ("petl.backbones.commands:fetch", "Download a study's backbones."),
    "data": ("petl.data.commands:commands", "Fetch, check and prepare a dataset."),
    "doctor": ("slurm.doctor.commands:doctor", "Check a cluster before you submit."),
    "devcluster": ("slurm.devcluster.commands:devcluster", "Run a small Slurm on this machine."),
    "env": ("petl.reproduce.commands:env", "Show or check the environment."),
    "reproduce": ("slurm.reproduce.commands:reproduce", "Train runs again and compare them."),
    "bundle": ("petl.reproduce.commands:bundle", "Pack a study for a reviewer."),
    "verify": ("slurm.reproduce.commands:verify", "Check a bundle that somebody sent."),
    "schema": ("petl.config.commands:schema", "Print the JSON Schema of a study."),
}
"""In the order of a study. A command without help is not listed: it is for tests."""


class Lazy(Petl):
    """A group whose commands are imported when they are called."""

    only_named = False
    """Set while a shell asks for the commands' names, so that TAB imports none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        if self.only_named:
            return TyperCommand(name, help=COMMANDS[name][1], hidden=not COMMANDS[name][1])
        module, _, attribute = COMMANDS[name][0].partition(":")
        function = getattr(import_module(module), attribute)
        release()
        return _command(name, function)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        self.only_named = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self.only_named = False

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items() if text])


def _command(name: str, target: Any) -> Any:
    if not isinstance(target, typer.Typer):
        function = target
        target = typer.Typer(
            add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
        )
        target.command(name)(function)
    command = typer.main.get_command(target)
    command.name = name
    return in_words(command)


app = typer.Typer(
    name="petl",
    cls=Lazy,
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


def main() -> None:
    for stream in (sys.stdout, sys.stderr):  # print "?" for what the terminal cannot show
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app(prog_name="petl")


if __name__ == "__main__":
    main()
