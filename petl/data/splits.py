"""Which clips train, validate and test. A fold counts from 0 in a task and from 1 in a corpus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from petl.config import Dataset
from petl.data.corpus import Corpus
from petl.errors import UserError


@dataclass(frozen=True)
class Split:
    """Indices into the corpus's clips, in file order."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(corpus: Corpus, dataset: Dataset, fold: int) -> Split:
    """ESC-50's cross-validation in the paper's order: of five folds, split 0 tests the fifth.

    The next ones test folds 1, 2, 3, 4. Each validates on the fold before the one it tests.
    """
    test = (fold - 1) % dataset.folds + 1
    if dataset.split == "ast-recipe":
        # The AST recipe trains on all the others and watches the test fold as it goes. It has no
        # validation of its own, so the best epoch by validation is chosen on the test clips.
        validation, least = test, 2
    else:
        validation, least = (fold - 2) % dataset.folds + 1, 3
    if dataset.folds < least:
        raise UserError(
            f"dataset.split '{dataset.split}' needs {least} folds; "
            f"{dataset.corpus} has {dataset.folds}"
        )
    folds = corpus.folds
    return Split(
        np.flatnonzero((folds != test) & (folds != validation)),
        np.flatnonzero(folds == validation),
        np.flatnonzero(folds == test),
    )
