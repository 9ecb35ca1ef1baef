"""The study as YAML, short and with comments, and the corpus's folder in the data folder."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from petl.files import refuse_existing, staging
from petl.init.choose import SMALL, TABLE, Choice
from petl.init.look import Found

METHODS = {SMALL: ("linear", "lora", "full")}
OTHERWISE = ("linear", "lora", "conformer-pfeiffer")
WHEN = """\

when:      # what suits the small AST: the presets are for one of twelve times its width
  - {method: lora, set: {method: {reduction: 8}}}
  - {method: full, set: {train: {lr: 1e-3}}}
"""
WHICH = {
    SMALL: "to try things out, on any machine; for results: ast",
    "ast": "the published AST; `petl fetch` downloads it",
}
SOUNDS = "sounds"
"""The link beside the table."""


def study_text(choice: Choice, found: Found, command: str) -> str:
    folds, backbone, dataset = (
        choice.dataset["folds"],
        choice.backbone,
        choice.called or choice.name,
    )
    every = "" if choice.fold == "all" else f"all: each of the {folds} folds"
    which = WHICH.get(backbone, "")
    kernel = "speech or other: the kernel of conformer adapters"
    lines = [
        f"# Written by `{_plain(command)}`. Change what you like; `petl plan` checks it.",
        f"description: {len(found.corpus.classes)} classes of {choice.name}",
        "",
        "matrix:",
        f"  dataset: {dataset}",
        _comment(f"  backbone: {backbone}", which),
        f"  method: [{', '.join(METHODS.get(backbone, OTHERWISE))}]",
        _comment(f"  fold: {choice.fold}", every),
        "  seed: 0",
        "",
        "datasets:",
        f"  {dataset}:",
        *([f"    like: {choice.preset}"] if choice.preset else []),
        _comment(f"    sound: {choice.sound}", kernel),
        "    dataset:",
        *(f"      {line}" for line in _dataset(choice)),
    ]
    if choice.epochs:
        lines.append(f"    train: {{epochs: {choice.epochs}, batch_size: {choice.batch}}}")
    return "\n".join(lines) + "\n" + (WHEN if backbone == SMALL else "")


def _dataset(choice: Choice) -> list[str]:
    chosen = choice.dataset
    counts = [f"classes: {chosen['classes']}", f"folds: {chosen['folds']}"]
    if choice.preset:
        return [f"corpus: {choice.corpus}", *counts]
    return [
        f"corpus: {choice.corpus}",
        f"layout: {chosen['layout']}",
        *counts,
        f"split: {chosen['split']}",
        *(f"{key}: {_flow(chosen[key])}" for key in ("ratio", "table") if key in chosen),
        _comment(f"frames: {chosen['frames']}", "of 10 ms; longer clips are cut"),
        _comment("spec_augment: mild", "or strong, or null"),
    ]


def _flow(values: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in values.items()) + "}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z][\w./-]*[\w]", value):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _comment(line: str, comment: str) -> str:
    return f"{line:24}  # {comment}" if comment else line


def _plain(text: str) -> str:
    """On one line, whatever a folder is called."""
    return "".join(char if char.isprintable() else "?" for char in text)


# --- the corpus, where runs look for it -----------------------------------------------------------


def make_corpus(choice: Choice, found: Found, data: Path) -> Path | None:
    """A link to the sounds, or a folder with a table of groups and a link; None if it is there."""
    folder = data / choice.corpus
    if choice.groups:
        return _make_table(choice, found, folder)
    if folder.exists() and folder.resolve() == found.folder.resolve():
        return None
    refuse_existing(folder)
    data.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(found.folder.resolve())
    return folder


def _make_table(choice: Choice, found: Found, folder: Path) -> Path | None:
    assert choice.groups is not None
    text = _table(choice, found).encode()
    sounds = found.folder.resolve()
    table = folder / TABLE["file"]
    if table.is_file() and table.read_bytes() == text and (folder / SOUNDS).resolve() == sounds:
        return None
    refuse_existing(folder)
    with staging(folder) as temporary:
        (temporary / TABLE["file"]).write_bytes(text)
        (temporary / SOUNDS).symlink_to(sounds)
        temporary.rename(folder)
    return folder


def _table(choice: Choice, found: Found) -> str:
    assert choice.groups is not None
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([TABLE[key] for key in ("path", "label", "group")])
    for clip, group in zip(found.corpus.clips, choice.groups.of_clip, strict=True):
        label = found.corpus.classes[clip.label]
        writer.writerow([f"{SOUNDS}/{clip.file}", label, group])
    return out.getvalue()
