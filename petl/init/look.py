"""What is there: the layout of a folder or a CSV file, and the settings that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from petl.config import Dataset
from petl.data import layouts
from petl.data.corpus import Corpus
from petl.data.downloads import DOWNLOADS
from petl.data.layouts import audioset, fsd50k
from petl.data.layouts.reading import PARTS, folders, listed, rows
from petl.errors import UserError
from petl.init import columns

MEASURED = 2000
"""The most files whose headers are read; of more, some evenly spread ones."""
DRAFT = {"corpus": "x", "frames": 100, "statistics": "training-split", "spec_augment": None}
"""What reading a corpus needs and does not look at."""

Settings = dict[str, Any]


@dataclass(frozen=True)
class Found:
    folder: Path
    """The corpus's."""
    corpus: Corpus
    settings: Settings
    """Of the dataset: layout, classes, folds, split, table."""
    preset: str | None
    """The suite's preset of a published layout."""


@dataclass(frozen=True)
class Measured:
    seconds: tuple[float, ...]
    """Sorted."""
    rates: Counter[int]
    channels: Counter[int]
    broken: tuple[str, ...]


def look(path: Path, label: str | None = None) -> Found:
    if path.is_file():
        return _table(path, label)
    if not path.is_dir():
        known = f"; `petl data fetch {path}` downloads it" if str(path) in DOWNLOADS else ""
        raise UserError(f"{path}: no such file or folder{known}")
    for layout, (mark, describe) in PUBLISHED.items():
        if (path / mark).exists():
            return _found(path, {"layout": layout, **describe(path)}, preset=layout)
    return _folders(path)


def measure(corpus: Corpus, progress: Callable[[int, int], None]) -> Measured:
    """Lengths and rates from the files' headers, without decoding them."""
    step = -(-len(corpus.clips) // MEASURED)
    clips = corpus.clips[::step]
    seconds, rates, channels, broken = [], Counter[int](), Counter[int](), []
    with ThreadPoolExecutor(8) as pool:
        for done, (clip, info) in enumerate(zip(clips, pool.map(_header, clips), strict=True), 1):
            progress(done, len(clips))
            if info is None or not info.frames:
                broken.append(clip.file)
                continue
            seconds.append(info.duration)
            rates[info.samplerate] += 1
            channels[info.channels] += 1
    if not seconds:
        raise UserError(f"{corpus.folder}: none of its files can be read, such as {broken[0]}")
    return Measured(tuple(sorted(seconds)), rates, channels, tuple(broken))


def _header(clip: Any) -> Any:
    try:
        return soundfile.info(str(clip.path))
    except (OSError, RuntimeError, ValueError):
        return None


def _found(folder: Path, settings: Settings, preset: str | None = None) -> Found:
    ratio = {"ratio": {"validation": 0.1, "test": 0.2}} if settings["split"] == "ratio" else {}
    dataset = Dataset.model_validate(DRAFT | {"folds": 1} | settings | ratio)
    return Found(folder, layouts.read(folder, dataset), settings, preset)


# --- a folder per class ---------------------------------------------------------------------------


def _folders(path: Path) -> Found:
    inside = folders(path)
    while len(inside) == 1 and len(listed(path)) <= 3:  # an archive's own folder, a README
        path = path / inside[0]
        inside = folders(path)
    parts = {PARTS.get(name.lower()) for name in inside}
    if not inside:
        raise UserError(_no_classes(path))
    given = None not in parts and "train" in parts and len(parts) > 1
    tops = [path / name for name in inside] if given else [path]
    classes = {name for top in tops for name in folders(top)}
    if len(classes) < 2:
        raise UserError(_no_classes(tops[0]))
    split = {"split": "given"} if given else {"split": "ratio"}
    return _found(path, {"layout": "folders", "classes": len(classes), **split})


def _no_classes(folder: Path) -> str:
    tables = [name for name in listed(folder) if name.lower().endswith(".csv")]
    if tables:
        return f"{folder}: no folder per class; it has a table: `petl init {folder / tables[0]}`"
    return (
        f"{folder}: needs a folder for each of at least two classes, with that class's sounds in "
        "it, or a CSV file with a column for the files and one for the labels"
    )


# --- published layouts ----------------------------------------------------------------------------


def _numbered(table: str, number: str) -> Callable[[Path], Settings]:
    def describe(folder: Path) -> Settings:
        entries = [row for _, row in rows(folder / table, (number, "fold"))]
        classes, folds = ({row[column] for row in entries} for column in (number, "fold"))
        return {"classes": len(classes), "folds": len(folds), "split": "paper"}

    return describe


def _words(folder: Path) -> Settings:
    words = [word for word in folders(folder) if word != "_background_noise_"]
    return {"classes": len(words), "split": "paper"}


def _listed_classes(table: str, names: Sequence[str], split: str) -> Callable[[Path], Settings]:
    """A class in each row; only FSD50K's table has no header."""

    def describe(folder: Path) -> Settings:
        bare = names is fsd50k.VOCABULARY
        return {"classes": len(list(rows(folder / table, names, bare))), "split": split}

    return describe


def _fixed(classes: int, folds: int) -> Callable[[Path], Settings]:
    return lambda folder: {"classes": classes, "folds": folds, "split": "paper"}


PUBLISHED: dict[str, tuple[str, Callable[[Path], Settings]]] = {
    "esc50": ("meta/esc50.csv", _numbered("meta/esc50.csv", "target")),
    "urbansound8k": (
        "metadata/UrbanSound8K.csv",
        _numbered("metadata/UrbanSound8K.csv", "classID"),
    ),
    "speech-commands": ("testing_list.txt", _words),
    "fluent-speech-commands": ("data/train_data.csv", _fixed(31, 1)),
    "iemocap": ("Session1", _fixed(4, 10)),
    "audioset": (
        "class_labels_indices.csv",
        _listed_classes("class_labels_indices.csv", audioset.CLASSES, "ast-recipe"),
    ),
    "fsd50k": (
        "FSD50K.ground_truth/vocabulary.csv",
        _listed_classes("FSD50K.ground_truth/vocabulary.csv", fsd50k.VOCABULARY, "paper"),
    ),
}
"""The file or folder that tells a layout, and its classes and folds."""


# --- a CSV file -----------------------------------------------------------------------------------


def _table(file: Path, label: str | None) -> Found:
    entries: Sequence[dict[str, str]] = [row for _, row in rows(file, ())]
    if not entries:
        raise UserError(f"{file}: no row below the header")
    folder, path = columns.paths(file, entries)
    table = {"file": str(file.absolute().relative_to(folder)), "path": path}
    table["label"] = columns.label(file, entries, path, label)
    cells = [row[table["label"]] for row in entries]
    if separator := columns.separator(cells):
        table["separator"] = separator
        cells = [part.strip() for cell in cells for part in cell.split(separator)]
    classes = {cell for cell in cells if cell}
    split: Settings = {"split": "ratio"}
    if part := columns.part(entries):
        split, table["part"] = {"split": "given"}, part
    elif fold := columns.fold(entries):
        folds = len({row[fold] for row in entries})
        split, table["fold"] = {"split": "given", "folds": folds}, fold
    return _found(folder, {"layout": "table", "classes": len(classes), **split, "table": table})
