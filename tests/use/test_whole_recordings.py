"""`petl evaluate --whole` of a dataset that is cut into windows."""

from __future__ import annotations

import pytest

from petl.config.presets import dataset_of
from petl.errors import UserError
from petl.use.evaluate import _of_whole_files


def test_a_recording_is_heard_once_and_not_for_each_of_its_windows() -> None:
    dataset = dataset_of("made-up-deam")
    assert dataset.windows
    assert _of_whole_files(dataset) == dataset.model_copy(update={"windows": None})
    torn = dataset.model_copy(update={"split": "windows-at-random"})
    with pytest.raises(UserError, match="leave --whole out"):
        _of_whole_files(torn)
