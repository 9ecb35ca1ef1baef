"""Make the pictures of docs/figures.md from made-up runs: `python docs/figures/gallery.py`."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from analysis.figures.figure import draw
from petl.config import Task
from petl.config.study import Study, load_study, study_of
from petl.picture import to_bytes
from petl.runs.synthetic import fabricate, plausible

HERE = Path(__file__).parent
DPI, COLORS = 110, 256
KINDS = {"generator-curves": "convergence"}
"""Pictures that show a figure a second time, of another kind of runs."""
PICTURES = {
    "parameters": ("table1", {"dataset": "esc50"}),
    "scaling": ("scaling", {}),
    "kernel": ("kernel", {}),
    "grid": ("sweep", {}),
    "few-shot": ("table2", {}),
    "shares": ("augment", {"method": "r[e3]*"}),
    "pretraining": ("pretrained", {}),
    "folds": ("table1", {"dataset": "urbansound8k"}),
    "convergence": ("quickstart", {}),
    "generator-curves": ("opponents", {}),
    "classes": ("table1", {"dataset": "urbansound8k"}),
    "confusion": ("quickstart", {"method": "lora"}),
    "predictions": ("moods", {"method": "lora"}),
    "cost": ("table1", {}),
}
SWEEP = {
    "matrix": {
        **{"dataset": "esc50", "backbone": "ast", "method": ["lora", "conformer-pfeiffer"]},
        **{"fold": "all", "seed": 10, "train.epochs": [5, 10, 20], "train.lr": [1e-3, 2e-3, 5e-3]},
    }
}
MOODS = {
    "matrix": {
        **{"dataset": "moods", "backbone": "ast", "method": ["linear", "lora"]},
        **{"fold": "all", "seed": 10},
    },
    "datasets": {
        "moods": {
            "dataset": {
                **{"corpus": "moods", "layout": "table", "targets": ["valence", "arousal"]},
                **{"folds": 5, "frames": 500, "split": "k-fold", "spec_augment": None},
                "table": {"file": "clips.csv", "path": "file"},
                "scale": {"centre": 5.0, "spread": 4.0},
            },
            "train": {"epochs": 20, "batch_size": 32},
        }
    },
}
OPPONENTS = {  # one generator with a discriminator and its band, and one without
    "matrix": {
        **{"dataset": "esc10", "backbone": "ast-small", "method": ["gan", "flow"]},
        **{"fold": "all", "seed": 10},
    },
    "set": {"train": {"epochs": 60}},
}
STUDIES = {"sweep": SWEEP, "moods": MOODS, "opponents": OPPONENTS}
SHAPES = {"conformer": 0.03, "bottleneck": 0.01, "lora": 0.0, "dpt": -0.01, "full": 0.06}


def accuracy(task: Task) -> float:
    """Smooth over what a study varies, so that the pictures look like pictures of a study."""
    name, few = task.names.method, task.dataset.few_shot
    kind = next((value for key, value in SHAPES.items() if name.startswith(key)), 0.0)
    if task.names.study == "kernel":
        best = 8 if task.names.dataset.startswith("esc") else 21
        kernel = task.method.block.kernel
        return (0.6 if few else 0.86) - 0.035 * abs(math.log2(kernel / best)) ** 1.3 / 2
    if task.names.study == "sweep":
        far = math.log2(task.train.lr * task.train.epochs / 0.02)
        return 0.84 + kind - 0.02 * far**2 - 0.1 / task.train.epochs
    if task.names.study == "table2":
        return 0.25 + 0.11 * math.log2(1 + few.per_class) + kind * math.log2(few.per_class + 0.5)
    if task.names.study == "scaling" and name != "full":
        size = getattr(getattr(task.method, "block", task.method), "reduction", None)
        size = math.log2(768 / size) if size else math.log2(task.method.length)
        return 0.78 + kind + 0.05 * (1 - 2 ** (-size / 2))
    if task.names.study == "scaling":
        return 0.9
    if task.names.study == "pretrained":
        objective, _, epochs = task.names.backbone.rpartition("-")
        learned = math.log2(1 + int(epochs)) if epochs.isdecimal() else 0
        return 0.3 + kind + (0.05 if objective == "reconstruct" else 0.07) * learned
    if task.names.study == "augment":
        return helped(task)
    return plausible(3)(task)


def helped(task: Task) -> float:
    """A little up to a share of a third, where labels are right; not where they are shuffled."""
    if (augment := task.augment) is None:
        return 0.8
    share = 1.0 if augment.share is None else augment.share
    if augment.conditions == "shuffled":
        return 0.8 - 0.25 * share**2
    return 0.8 + 0.25 * share - 0.4 * share**2 - 0.15 * (share == 1)


def small(png: bytes) -> bytes:
    """As much as a page of documentation needs."""
    picture = Image.open(BytesIO(png)).convert("RGB")
    size = tuple(round(side * DPI / 300) for side in picture.size)
    buffer = BytesIO()
    less = picture.resize(size, Image.Resampling.LANCZOS).quantize(COLORS, dither=Image.Dither.NONE)
    less.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def made(name: str, runs: Path) -> Study:
    study = study_of(STUDIES[name], name) if name in STUDIES else load_study(name)
    fabricate(study, runs, accuracy, spread=0.008, seed=1)
    return study


def main() -> None:
    with TemporaryDirectory() as folder:
        runs = Path(folder)
        studies = {name: made(name, runs) for name, _ in PICTURES.values()}
        for figure, (name, chosen) in PICTURES.items():
            picture = draw(KINDS.get(figure, figure), studies[name], runs, **chosen)
            (HERE / f"{figure}.png").write_bytes(small(to_bytes(picture, "png")))


if __name__ == "__main__":
    main()
