"""Commands that export trained runs, and import the paper's checkpoints."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from petl.terminal import RUNS, STUDIES, RunsDir, completed_by, console, echo, need

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A study, for its best run, or a run's folder, id or id's beginning.",
        autocompletion=completed_by(STUDIES, RUNS),
    ),
]


class Format(str, Enum):
    adapter = "adapter"
    huggingface = "huggingface"
    peft = "peft"


def export(
    run: Run,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    format: Annotated[
        Format, typer.Option(help="The trained tensors only, or the whole model.")
    ] = Format.adapter,
    peft: Annotated[bool, typer.Option("--peft", help="The same as --format peft.")] = False,
    runs: RunsDir = None,
) -> None:
    """Export a trained run for others: the trained tensors, or a model for Hugging Face.

    adapter: the trained tensors as safetensors, about 1 MB for an adapter, and adapter.json, which
    describes each of them. `petl predict OUT FILE` works with this folder. Of a pre-training, the
    encoder as a checkpoint for `backbone.source` and for transformers' ASTModel.

    huggingface: an AST with the method merged into its weights. This works for full, gradual,
    linear and head tuning, BitFit, LoRA, DoRA, (IA)3 and SSF, and not for adapters, mixtures,
    prompts and prefixes, which the library's AST cannot compute. With `pooling: cls+dist` it is an
    ASTForAudioClassification. With any other pooling it is an ASTModel, the head in a file of its
    own, and a README that shows how to use them.

    peft: LoRA, DoRA or (IA)3 as `peft.PeftModel.from_pretrained` reads it. `petl predict OUT FILE`
    works with this folder, and with one of a PEFT adapter that others trained on an AST.

    \b
    Example:
      petl export 3f9c shared/lora-esc50
      petl export birds birds-model
      petl export 3f9c merged --format huggingface
      petl export 3f9c adapter --peft
    """
    need("torch", "train")
    from petl.places import Places
    from petl.runs.choose import choose
    from petl.runs.directory import RunDir
    from petl.runs.find import read_task
    from petl.train.objectives.export import export_encoder
    from petl.use.export import export as write
    from petl.use.load import is_pretraining, load_run

    places = Places.choose(runs)
    chosen = choose(run, places)
    if chosen.why:
        echo(f"petl: {chosen.why}", err=True)
    path = chosen.paths[0]
    if is_pretraining(path):
        export_encoder(RunDir(path), read_task(RunDir(path)), out)
        console().print(f"wrote {out}: a checkpoint for `backbone.source`", soft_wrap=True)
        return
    loaded = load_run(path, places)
    description = write(loaded, out, "peft" if peft else format.value)
    console().print(f"wrote {out}: {description}", soft_wrap=True)


def import_authors(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A file that the released code saved.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write to.")],
    flags: Annotated[
        str,
        typer.Option(metavar="FLAGS", help="Its training flags: a JSON file, or key=value,..."),
    ],
) -> None:
    """Convert a checkpoint of the paper's repository to OUT/weights.safetensors and OUT/task.json.

    \b
    Example:
      petl import-authors best.pth imported --flags flags.json
      petl import-authors best.pth imported \\
        --flags dataset_name=ESC-50,method=prefix-tuning,prompt_len_pt=24,final_output=ALL
    """
    need("torch", "train")
    from petl.use.import_authors import import_checkpoint, read_flags

    task = import_checkpoint(checkpoint, read_flags(flags), out)
    console().print(f"wrote {out}: {task}", soft_wrap=True)
