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
    "frechet_infinite": Metric("Frechet distance, extrapolated", lowest_first=True),
    "nearest_ratio": Metric("distance to training clips"),
    "copies": Metric("copies", percent=True, lowest_first=True),
    "condition_ccc": Metric("condition as heard, CCC"),
    "condition_accuracy": Metric("condition as heard, accuracy", percent=True),
    "condition_map": Metric("condition as heard, mAP", percent=True),
    "broken": Metric("broken clips", percent=True, lowest_first=True),
    "score_0_100": Metric("released score, 0 to 100"),
    "frechet_flat": Metric("Frechet distance of spectrograms", lowest_first=True),
    "frequency_correlation": Metric("correlation of mean spectra"),
    "smoothness_ratio": Metric("smoothness ratio"),
    "mean_difference": Metric("difference of means", lowest_first=True),
    "std_difference": Metric("difference of deviations", lowest_first=True),
    "range_difference": Metric("difference of ranges", lowest_first=True),
}


VARIANTS = {"window": "{} by window", "unscaled": "unscaled {}"}
"""Of a regression: `window_ccc` is over windows, where `ccc` is over songs, each with the mean of
its windows; `unscaled_rmse` is in the unit of the table, where `rmse` is in that of the model."""

ENCODERS = {"second": "{}, second encoder", "mel": "{}, mel statistics"}
"""Of a generator: `kernel_distance` is by the study's backbone
(petl/generate/measures/embeddings.py)."""
BY_ENCODER = (
    *("kernel_distance", "frechet_distance", "frechet_infinite", "density", "coverage"),
    *("nearest_ratio", "copies", "condition_ccc", "condition_accuracy", "condition_map"),
)
_ENDINGS = tuple(f"_{name}" for name in ENCODERS)


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
    """Of `mae_valence` and `top5_accuracy` too: the known part decides how it is printed.

    Of any name at all, since somebody else may have written the result.
    """
    if name in METRICS:
        return METRICS[name]
    begin, _, encoder = name.rpartition("_")
    if encoder in ENCODERS and begin.startswith(BY_ENCODER) and not begin.endswith(_ENDINGS):
        known = metric(begin)
        return replace(known, title=ENCODERS[encoder].format(known.title))
    if name.startswith("condition_ccc_"):
        known = METRICS["condition_ccc"]
        return replace(known, title=f"{known.title} {name.removeprefix('condition_ccc_')}")
    first, _, rest = name.partition("_")
    if first in VARIANTS and rest and rest.partition("_")[0] not in VARIANTS:
        known = metric(rest)
        return replace(known, title=VARIANTS[first].format(known.title))
    if first in METRICS:
        known = METRICS[first]
        return Metric(f"{known.title} {rest}", known.percent, known.lowest_first)
    last = METRICS.get(name.rpartition("_")[2], Metric(""))
    return Metric(name.replace("_", " "), last.percent, last.lowest_first)
