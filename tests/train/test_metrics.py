"""Losses and metrics, against the libraries that define them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
from torch.nn import functional as F

from petl.config.dataset import Table
from petl.runs.confusion import averages, per_class
from petl.train.metrics import Classification, Regression, SeveralLabels, objective
from petl.train.outcome import Best

CLASSES = 7
TARGETS = ("valence", "arousal", "dominance")


def drawn(clips: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(clips, columns, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def classified() -> tuple[torch.Tensor, torch.Tensor]:
    """Class 2 is never predicted and class 5 never occurs."""
    outputs = drawn(300, CLASSES)
    outputs[:, 2] = -100
    labels = torch.arange(300) % CLASSES
    labels[labels == 5] = 0
    outputs[torch.arange(150), labels[:150]] += 3
    outputs[:, 2] = -100
    return outputs, labels


@pytest.fixture
def rated() -> tuple[torch.Tensor, torch.Tensor]:
    targets = drawn(200, 3, seed=1) * torch.tensor([1.0, 0.3, 5.0]) + torch.tensor([0.0, 2.0, -1.0])
    return targets * 0.7 + 0.5 * drawn(200, 3, seed=2), targets


# --- classification -------------------------------------------------------------------------------


def test_averages_equal_scikit_learn(classified) -> None:
    outputs, labels = classified
    measured = Classification(CLASSES).measure(outputs, labels)
    y, predicted = labels.numpy(), outputs.argmax(dim=1).numpy()
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        y, predicted, average="weighted", zero_division=0
    )
    present = np.unique(y)  # scikit-learn warns where a class occurs in the predictions alone
    recalls = sklearn.metrics.recall_score(y, predicted, labels=present, average=None)
    assert measured == {
        "accuracy": sklearn.metrics.accuracy_score(y, predicted),
        "balanced_accuracy": pytest.approx(recalls.mean(), abs=1e-12),
        "precision": pytest.approx(precision, abs=1e-12),
        "recall": pytest.approx(recall, abs=1e-12),
        "f1": pytest.approx(f1, abs=1e-12),
        "loss": pytest.approx(F.cross_entropy(outputs, labels).item(), rel=1e-5),
    }
    assert 0.2 < measured["balanced_accuracy"] < 0.8
    assert measured["balanced_accuracy"] != measured["recall"]


def test_scores_per_class_equal_scikit_learn(classified) -> None:
    outputs, labels = classified
    confusion = Classification(CLASSES).confusion(outputs, labels)
    y, predicted = labels.numpy(), outputs.argmax(dim=1).numpy()
    every = list(range(CLASSES))
    assert confusion == sklearn.metrics.confusion_matrix(y, predicted, labels=every).tolist()
    theirs = sklearn.metrics.precision_recall_fscore_support(
        y, predicted, labels=every, average=None, zero_division=0
    )
    names = ("precision", "recall", "f1", "support")
    for label, scores in enumerate(per_class(confusion)):
        expected = dict(zip(names, (column[label] for column in theirs), strict=True))
        assert scores == pytest.approx(expected, abs=1e-12)


def test_division_by_zero_gives_zero() -> None:
    """The first class is never predicted, the second does not occur."""
    first, second = per_class([[0, 4], [0, 0]])
    assert first == {"precision": 0, "recall": 0, "f1": 0, "support": 4}
    assert second == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert averages([[0, 0], [0, 0]]) == dict.fromkeys(
        ("balanced_accuracy", "precision", "recall", "f1"), 0
    )


def test_label_smoothing_changes_the_training_loss_but_not_the_reported_loss(classified) -> None:
    outputs, labels = classified
    plain, smooth = Classification(CLASSES), Classification(CLASSES, label_smoothing=0.2)
    assert torch.equal(plain.loss(outputs, labels), F.cross_entropy(outputs, labels))
    log = outputs.log_softmax(dim=1)
    by_hand = -(0.8 * log[torch.arange(300), labels] + 0.2 * log.mean(dim=1)).mean()
    torch.testing.assert_close(smooth.loss(outputs, labels), by_hand)
    assert smooth.measure(outputs, labels) == plain.measure(outputs, labels)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_class_probabilities_generalise_labels(classified, label_smoothing: float) -> None:
    outputs, labels = classified
    learns = Classification(CLASSES, label_smoothing)
    shares = F.one_hot(labels, CLASSES).double()
    torch.testing.assert_close(learns.loss(outputs, shares), learns.loss(outputs, labels))
    other = labels.roll(1)
    mixed = 0.3 * shares + 0.7 * F.one_hot(other, CLASSES)
    expected = 0.3 * learns.loss(outputs, labels) + 0.7 * learns.loss(outputs, other)
    torch.testing.assert_close(learns.loss(outputs, mixed), expected)


# --- regression -----------------------------------------------------------------------------------


def lin(x: np.ndarray, y: np.ndarray) -> float:
    """Lin (1989), from the covariance matrix with population moments."""
    (xx, xy), (_, yy) = np.cov(x, y, bias=True)
    return 2 * xy / (xx + yy + (x.mean() - y.mean()) ** 2)


def test_regression_metrics_equal_numpy_and_scipy(rated) -> None:
    outputs, targets = rated
    measured = Regression(TARGETS).measure(outputs, targets)
    columns = outputs.double().T.numpy(), targets.double().T.numpy()
    expected = {"loss": np.square(columns[0] - columns[1]).mean()}
    for name, x, y in zip(TARGETS, *columns, strict=True):
        expected[f"mae_{name}"] = sklearn.metrics.mean_absolute_error(y, x)
        expected[f"rmse_{name}"] = sklearn.metrics.mean_squared_error(y, x) ** 0.5
        expected[f"ccc_{name}"] = lin(x, y)
        expected[f"pearson_{name}"] = scipy.stats.pearsonr(x, y)[0]
        expected[f"r2_{name}"] = sklearn.metrics.r2_score(y, x)
    for metric in ("mae", "rmse", "ccc", "pearson", "r2"):
        expected[metric] = np.mean([expected[f"{metric}_{name}"] for name in TARGETS])
    assert measured == pytest.approx(expected, abs=1e-9)
    assert measured["ccc"] < measured["pearson"]


@pytest.mark.parametrize("constant", [0.1, 3.0])  # the mean of many 0.1 is not 0.1
def test_ccc_and_pearson_of_a_constant_are_zero(constant: float) -> None:
    """Not NaN, and not what rounding left of a zero variance."""
    varied, same = drawn(999, 1), torch.full((999, 1), constant)
    for outputs, targets in ((same, varied), (varied, same), (same, same)):
        measured = Regression(("x",)).measure(outputs, targets)
        assert measured["ccc"] == measured["pearson"] == measured["ccc_x"] == 0
        assert np.isfinite(list(measured.values())).all()


def test_a_constant_target_does_not_hide_the_others(rated) -> None:
    outputs, targets = rated
    whole = Regression(TARGETS).measure(outputs, targets)
    outputs = outputs.clone()
    outputs[:, 1] = 0
    measured = Regression(TARGETS).measure(outputs, targets)
    assert measured["ccc_arousal"] == 0
    assert measured["ccc"] == pytest.approx((whole["ccc_valence"] + whole["ccc_dominance"]) / 3)


def test_regression_losses_equal_their_definitions(rated) -> None:
    outputs, targets = rated
    losses = {of: Regression(TARGETS, of).loss(outputs, targets) for of in ("mse", "mae", "ccc")}
    torch.testing.assert_close(losses["mse"], F.mse_loss(outputs, targets))
    torch.testing.assert_close(losses["mae"], F.l1_loss(outputs, targets))
    measured = Regression(TARGETS, "ccc").measure(outputs, targets)
    assert losses["ccc"].item() == pytest.approx(1 - measured["ccc"], abs=1e-6)
    assert measured["loss"] == pytest.approx(1 - measured["ccc"], abs=1e-12)


def test_ccc_loss_has_a_gradient_for_constant_outputs(rated) -> None:
    _, targets = rated
    outputs = torch.zeros_like(targets, requires_grad=True)
    Regression(TARGETS, "ccc").loss(outputs, targets).backward()
    assert outputs.grad.isfinite().all()
    towards = -(outputs.grad * (targets - targets.mean(dim=0))).sum(dim=0)
    assert (towards > 0).all()


@pytest.mark.parametrize("prediction", [0.0, 1.0])
def test_ccc_loss_of_one_clip_has_no_gradient_and_no_nan(prediction) -> None:
    outputs = torch.full((1, 1), prediction, requires_grad=True)
    loss = Regression(("x",), "ccc").loss(outputs, torch.ones(1, 1))
    loss.backward()
    assert loss.item() == 1
    assert outputs.grad.item() == 0


# --- both -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_computed_in_float32(classified, rated, dtype) -> None:
    for learns, (outputs, targets) in (
        (Classification(CLASSES), classified),
        (Regression(TARGETS), rated),
    ):
        outputs = outputs.to(dtype)
        loss = learns.loss(outputs, targets)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, learns.loss(outputs.float(), targets))


def test_the_first_of_equal_epochs_is_best_and_nan_never() -> None:
    assert Best().is_beaten_by(0.5)
    assert not Best(0.5).is_beaten_by(0.5)
    assert not Best().is_beaten_by(float("nan"))


def test_the_least_improvement_counts_from_the_best_epoch_so_far() -> None:
    assert Best().is_beaten_by(0.1, 0.25)
    assert not Best(0.5).is_beaten_by(0.75, 0.25)
    assert Best(0.5).is_beaten_by(0.76, 0.25)


def test_the_task_chooses_the_objective(tasks) -> None:
    task = tasks[0]
    assert objective(task) == Classification(10)
    assert task.dataset.kind.headline == "accuracy"
    smooth = task.train.model_copy(update={"label_smoothing": 0.1})
    assert objective(task.model_copy(update={"train": smooth})) == Classification(10, 0.1)
    table = Table(file="clips.csv", path="file", label="tags", separator=";")
    tags = task.dataset.model_copy(update={"layout": "table", "table": table})
    assert tags.kind.headline == "map"
    assert objective(task.model_copy(update={"dataset": tags})) == SeveralLabels()
    rates = task.dataset.model_copy(update={"classes": None, "targets": TARGETS})
    assert rates.kind.headline == "ccc"
    learns = objective(task.model_copy(update={"dataset": rates}))
    assert learns == dataclasses.replace(Regression(TARGETS), minimises="mse")
    assert learns.confusion(drawn(3, 3), drawn(3, 3)) is None


# --- several labels -------------------------------------------------------------------------------


def tagged(clips: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Rare and frequent classes, many equal scores; class 5 has no clip, class 6 has all."""
    truth = (torch.rand(clips, CLASSES, generator=torch.Generator().manual_seed(3))) < torch.tensor(
        [0.01, 0.1, 0.3, 0.5, 0.9, 0.0, 1.0]
    )
    scores = drawn(clips, CLASSES) + truth
    scores[:, 1:3] = (2 * scores[:, 1:3]).round() / 2
    return scores, truth.to(torch.uint8)


def test_map_and_auc_equal_scikit_learn() -> None:
    scores, truth = tagged()
    found = SeveralLabels().per_class(scores, truth)
    theirs = [
        sklearn.metrics.average_precision_score(truth[:, c], scores[:, c])
        for c in (0, 1, 2, 3, 4, 6)
    ]
    precisions = [found["average_precision"][c] for c in (0, 1, 2, 3, 4, 6)]
    assert precisions == pytest.approx(theirs, abs=1e-12)
    areas = [sklearn.metrics.roc_auc_score(truth[:, c], scores[:, c]) for c in range(5)]
    assert found["auc"][:5] == pytest.approx(areas, abs=1e-12)
    assert found["average_precision"][5] is None and found["auc"][5:] == [None, None]
    assert found["clips"] == truth.sum(dim=0).tolist()
    assert SeveralLabels().measure(scores, truth) == {
        "map": pytest.approx(np.mean(theirs), abs=1e-12),
        "auc": pytest.approx(np.mean(areas), abs=1e-12),
        "classes_without_clips": 1,
        "loss": pytest.approx(
            F.binary_cross_entropy_with_logits(scores, truth.float()).item(), rel=1e-5
        ),
    }


def test_probabilities_rank_as_logits_do() -> None:
    scores, truth = tagged()
    by_logits, by_shares = (SeveralLabels().per_class(s, truth) for s in (scores, scores.sigmoid()))
    assert by_logits == by_shares
