"""The ways to lay out and split a corpus that a study can ask for, each with a small one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trees

from petl.config import Dataset
from petl.data import layouts
from petl.data.corpus import Corpus


def own(settings: str) -> str:
    """A study's own dataset of that name."""
    settings = f"corpus: own, classes: 3, frames: 100, spec_augment: null, {settings}"
    return f"datasets: {{own: {{dataset: {{{settings}}}, train: {{epochs: 1, batch_size: 2}}}}}}\n"


def esc10(folder: Path) -> Path:
    rows = []
    for fold in range(1, 6):
        for target in (0, 1, 10, 11, 12, 20, 21, 38, 40, 41):
            for take in "AB":
                source = 100 * fold + target
                file = f"{fold}-{source}-{take}-{target}.wav"
                trees.put(folder / "audio" / file)
                rows.append([file, fold, target, f"class {target}", True, source, take])
    header = "filename,fold,target,category,esc10,src_file,take"
    trees.put_table(folder / "meta" / "esc50.csv", header, rows)
    return folder


def classes(folder: Path) -> Path:
    for name, count in (("common", 20), ("rare", 4), ("usual", 10)):
        for take in range(count):
            trees.put(folder / name / f"{take:02}.wav")
    return folder


def recordings(folder: Path) -> Path:
    """Nine recordings, each with some clips of each class."""
    for name, count in (("common", 4), ("rare", 1), ("usual", 2)):
        for recording in range(9):
            for take in range(count + recording % 2):
                trees.put(folder / name / f"{recording}-{take}.wav")
    return folder


def parts(folder: Path) -> Path:
    for part in ("train", "val", "test"):
        classes(folder / part)
    return folder


def folds(folder: Path) -> Path:
    files = [path.relative_to(folder) for path in sorted(classes(folder).rglob("*.wav"))]
    rows = [[file, file.parent, 1 + int(file.stem) % 4] for file in files]
    trees.put_table(folder / "clips.csv", "file,label,fold", rows)
    return folder


RECIPE = "set: {dataset: {split: ast-recipe}}\n"
GIVEN = own("layout: folders, folds: 1, split: given")
RATIO = own("layout: folders, folds: 4, split: ratio, ratio: {validation: 0.2, test: 0.1}")
K_FOLD = own("layout: folders, folds: 4, split: k-fold")
GROUPED = own("layout: folders, folds: 4, split: grouped, group: '/([0-9])'")
RANDOM = own("layout: folders, folds: 4, split: random, group: '/([0-9])'")
FOLDS = own(
    "layout: table, folds: 4, split: given, "
    "table: {file: clips.csv, path: file, label: label, fold: fold}"
)

WAYS: dict[str, tuple[str, str, str, Callable[[Path], Path]]] = {
    "esc50": ("esc10", "as-run", "", esc10),
    "esc50, recipe": ("esc10", "as-run", RECIPE, esc10),
    "urbansound8k, as run": ("urbansound8k", "as-run", "", trees.urbansound8k),
    "urbansound8k, as intended": ("urbansound8k", "as-intended", "", trees.urbansound8k),
    "speech-commands": ("speech-commands", "as-run", "", trees.speech_commands),
    "fluent-speech-commands": (
        "fluent-speech-commands",
        "as-run",
        "",
        trees.fluent_speech_commands,
    ),
    "iemocap": ("iemocap", "as-intended", "", trees.iemocap),
    "folders, given": ("own", "as-run", GIVEN, parts),
    "folders, ratio": ("own", "as-run", RATIO, classes),
    "folders, k-fold": ("own", "as-run", K_FOLD, classes),
    "table, folds": ("own", "as-run", FOLDS, folds),
    "folders, grouped": ("own", "as-run", GROUPED, recordings),
    "folders, random": ("own", "as-run", RANDOM, recordings),
}
"""Preset, profile, what the study adds, and who makes the corpus."""


def build(above: Path) -> dict[str, tuple[Corpus, Dataset]]:
    """Each of them, read, and the settings of the study."""
    made = {}
    for way, (name, profile, more, tree) in WAYS.items():
        dataset = trees.preset(name, profile, above / way, more)
        made[way] = layouts.read(tree(above / way / "tree"), dataset), dataset
    return made
