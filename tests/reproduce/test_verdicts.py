"""The verdict on two runs of one task."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from petl.reproduce.compare import Copy, Gap, compare, spread_over_folds

torch = pytest.importorskip("torch")


def copy(accuracy: float = 0.5, weight: float | None = 1.0, **row: float) -> Copy:
    from safetensors.torch import save

    scores = {"accuracy": accuracy, "loss": 1.0}
    result: Any = {
        "metrics": {"test_last": scores, "test_best": scores, "val_best": scores},
        "confusion": {"test_last": [[3, 1], [0, 4]]},
        "best_epoch": 2,
        "epochs": 2,
        "params": {"trainable": 3},
    }
    first = {"epoch": 1, "train_loss": 2.0, "val_loss": float("nan"), "seconds": 3.0}
    rows = [first, first | {"epoch": 2, "train_loss": 1.0} | row]
    tensors = {} if weight is None else {"head": torch.full((2, 3), weight), "bias": torch.ones(2)}
    return Copy(result, rows, save(tensors) if tensors else None)


SPREAD = {"test_last.accuracy": 0.02, "test_best.accuracy": 0.02}


def test_the_same_numbers_and_weights_are_identical_whatever_the_clock_says() -> None:
    verdict = compare(copy(), copy(seconds=70.0), SPREAD)
    assert (verdict.kind, verdict.epochs, verdict.weights) == ("identical", "all 2 equal", "equal")
    assert verdict.largest is None


def test_without_weights_the_verdict_says_so() -> None:
    verdict = compare(copy(weight=None), copy(weight=None), {})
    assert verdict.kind == "identical" and "neither run kept them" in verdict.weights
    one_sided = compare(copy(), copy(weight=None), {})
    assert one_sided.kind == "within" and "second run kept none" in one_sided.weights


def test_one_bit_of_the_weights_is_no_longer_identical() -> None:
    verdict = compare(copy(), copy(weight=1.0 + 2**-23), SPREAD)
    assert verdict.kind == "within"
    assert verdict.weights == "1 of 2 tensors differ, by at most 1.2e-07"


def test_the_first_epoch_and_metric_that_part_ways_are_named() -> None:
    verdict = compare(copy(), copy(accuracy=0.51, train_loss=1.5), SPREAD)
    assert verdict.kind == "within"
    assert verdict.epochs == "epoch 2: train_loss 1.0, and 1.5 again"
    assert verdict.largest == Gap("test_last.accuracy", 0.5, 0.51, 0.02)


def test_more_than_the_folds_differ_is_different() -> None:
    assert compare(copy(), copy(accuracy=0.53), SPREAD).kind == "different"
    assert compare(copy(), copy(accuracy=float("nan")), SPREAD).kind == "different"


def test_without_other_folds_a_difference_is_not_called_small() -> None:
    verdict = compare(copy(), copy(accuracy=0.5001), {})
    assert verdict.kind == "different" and "one fold" in str(verdict.largest)


def test_a_log_that_lacks_epochs_is_not_called_identical() -> None:
    whole = copy()
    cut = whole._replace(rows=whole.rows[:1])
    assert compare(cut, cut, SPREAD).kind == "different"
    assert "has 1 of its epochs" in compare(cut, whole, SPREAD).epochs


@pytest.mark.parametrize("key", ["confusion", "params", "best_epoch"])
def test_every_number_of_the_result_counts(key: str) -> None:
    other: Any = deepcopy(copy())
    other.result[key] = {"changed": 1}
    assert compare(copy(), other, SPREAD).kind != "identical"


def test_damaged_weights_are_a_remark_and_no_traceback() -> None:
    verdict = compare(copy(), copy()._replace(weights=b"\xff" * 64), SPREAD)
    assert verdict.kind == "within" and "damaged" in verdict.weights


def test_the_spread_is_that_of_a_tables_cell() -> None:
    metrics = [{"metrics": copy(accuracy).result["metrics"]} for accuracy in (0.4, 0.6)]
    assert spread_over_folds(metrics)["test_last.accuracy"] == pytest.approx(0.1)
    assert spread_over_folds(metrics[:1]) == {}
