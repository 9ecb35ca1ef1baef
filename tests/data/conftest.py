from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import ways
from download_server import FILES, Server, zipped

from petl.config import Dataset
from petl.data.corpus import Corpus

ESC50 = {
    "corpus": "tiny",
    "layout": "esc50",
    "classes": 2,
    "folds": 5,
    "frames": 20,
    "split": "paper",
    "statistics": "training-split",
    "spec_augment": None,
}


@pytest.fixture
def dataset() -> Callable[..., Dataset]:
    def make(**changes: Any) -> Dataset:
        return Dataset.model_validate(ESC50 | changes)

    return make


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Five folds of two clips each, in ESC-50's layout: targets 3 and 41, 0.2 s of noise."""
    folder = tmp_path / "data" / "tiny"
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    rng = np.random.default_rng(0)
    for fold in range(1, 6):
        for target, category in ((41, "chainsaw"), (3, "cow")):
            file = f"{fold}-{fold}{target}-A-{target}.wav"
            soundfile.write(folder / "audio" / file, 0.1 * rng.standard_normal(3200), 16000)
            lines.append(f"{file},{fold},{target},{category},False,{fold}{target},A")
    (folder / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Corpus, Dataset]]:
    return ways.build(tmp_path_factory.mktemp("corpora"))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.content = zipped(FILES)
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()
