"""The kinds of task: what a clip's answer is, and by which metric runs are compared.

For a new kind, add it here, to `Dataset.kind`, to `objective` in petl/train/metrics.py and to
`Corpus.targets`. Tables, figures, reports and progress read the rest from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Metric:
    title: str
    percent: bool = False
    lowest_first: bool = False

    def text(self, value: float) -> str:
        """For people: `87.5 %`."""
        return f"{100 * value:.1f} %" if self.percent else f"{round(value, 3) + 0:.3f}"  # no -0.000

    def rank(self, value: float) -> float:
        """Higher is better, also for a loss."""
        return -value if self.lowest_first else value


METRICS = {
    "accuracy": Metric("accuracy", percent=True),
    "balanced_accuracy": Metric("balanced accuracy", percent=True),
    "precision": Metric("precision", percent=True),
    "recall": Metric("recall", percent=True),
    "f1": Metric("f1", percent=True),
    "map": Metric("mAP", percent=True),
    "auc": Metric("AUC"),
    "classes_without_clips": Metric("classes without clips", lowest_first=True),
    "ccc": Metric("CCC"),
    "pearson": Metric("Pearson"),
    "r2": Metric("R2"),
    "mae": Metric("MAE", lowest_first=True),
    "rmse": Metric("RMSE", lowest_first=True),
    "loss": Metric("loss", lowest_first=True),
    "held_out_loss": Metric("held-out loss", lowest_first=True),
    "kernel_distance": Metric("kernel distance", lowest_first=True),
    "frechet_distance": Metric("Frechet distance", lowest_first=True),
    "density": Metric("density"),
    "coverage": Metric("coverage", percent=True),
}


VARIANTS = {"window": "{} by window", "unscaled": "unscaled {}"}
"""Of a regression: `window_ccc` is over windows, where `ccc` is over songs, each with the mean of
its windows; `unscaled_rmse` is in the unit of the table, where `rmse` is in that of the model."""


@dataclass(frozen=True)
class Kind:
    """`headline` is what `test_last` alone means, and it chooses the best epoch unless
    `train.best_by` names another one of `metrics`."""

    name: str
    headline: str
    beside: tuple[str, ...]
    """What a report shows beside it."""
    loss: str
    metrics: tuple[str, ...]
    """What can choose the best epoch; of numbers also for each target, `rmse_valence`."""

    @property
    def title(self) -> str:
        return METRICS[self.headline].title

    def text(self, value: float) -> str:
        """A value of the headline for people: `87.5 %`."""
        return METRICS[self.headline].text(value)


ONE_LABEL = Kind(
    "one label",
    "accuracy",
    ("balanced_accuracy", "f1"),
    "cross-entropy",
    ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "loss"),
)
SEVERAL_LABELS = Kind(
    "several labels", "map", ("auc",), "binary cross-entropy", ("map", "auc", "loss")
)
NUMBERS = Kind(
    "numbers",
    "ccc",
    ("rmse", "mae", "r2", "pearson"),
    "mse, mae or ccc",
    ("ccc", "pearson", "r2", "mae", "rmse", "loss"),
)
NO_LABELS = Kind("no labels", "held_out_loss", (), "the loss of its objective", ("held_out_loss",))
SPECTROGRAMS = Kind(
    "spectrograms",
    "kernel_distance",
    ("frechet_distance", "density", "coverage"),
    "the loss of its generator",
    ("kernel_distance",),
)
KINDS = (ONE_LABEL, SEVERAL_LABELS, NUMBERS, NO_LABELS, SPECTROGRAMS)
FLOORS = {
    "constant": "constant (training mean)",
    "ridge": "ridge on mel statistics",
    "real": "real clips (training against test)",
}
"""The last rows of a table: what predicts numbers without a network (petl/train/floors.py), and
real clips in the place of synthetic ones."""
HEADLINES = tuple(kind.headline for kind in KINDS)


def metric(name: str) -> Metric:
    """Of `mae_valence` and `top5_accuracy` too: the known part decides how it is printed."""
    if name in METRICS:
        return METRICS[name]
    first, _, rest = name.partition("_")
    if first in VARIANTS and rest:
        known = metric(rest)
        return replace(known, title=VARIANTS[first].format(known.title))
    if first in METRICS:
        known = METRICS[first]
        return Metric(f"{known.title} {rest}", known.percent, known.lowest_first)
    last = METRICS.get(name.rpartition("_")[2], Metric(""))
    return Metric(name.replace("_", " "), last.percent, last.lowest_first)
