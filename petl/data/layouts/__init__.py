"""One module for each layout, named after it, with a function `read` from a folder to a Corpus."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Corpus


def read(folder: Path, dataset: Dataset) -> Corpus:
    """By the module of the dataset's layout: `speech-commands` is `speech_commands.py`."""
    module = import_module(f"{__name__}.{dataset.layout.replace('-', '_')}")
    corpus: Corpus = module.read(folder, dataset)
    return corpus
