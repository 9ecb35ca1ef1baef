"""One task in, one run directory out: whatever happens in between."""

import json

import pytest
import torch

from petl.config.backbone import Shape
from petl.config.options import Options
from petl.config.task import SMALL_MB
from petl.places import Places
from petl.runs.claim import Claim, RunIsTaken
from petl.runs.directory import RunDir
from petl.train.loop import Diverged
from petl.train.metrics import Classification
from petl.train.outcome import kept
from petl.train.run import run_task


def by_method(tasks, method):
    return next(task for task in tasks if task.names.method == method)


@pytest.mark.parametrize(
    "method", ["full", "linear", "bitfit", "spt-3", "prefix-4", "lora", "bottleneck", "conformer"]
)
def test_every_method_trains_and_writes_a_result(tasks, own_runs, method):
    task = by_method(tasks, method)
    result = run_task(task, own_runs, Options(threads=1))
    run = RunDir.of(task, own_runs.runs)
    assert run.state().kind == "done"
    assert run.result() == json.loads(json.dumps(result))
    assert [row["epoch"] for row in run.metrics()] == [1, 2]
    assert 0 < result["params"]["trainable_without_head"] <= result["params"]["total"]
    assert set(result["metrics"]) == {"test_last", "test_best", "val_best"}
    assert not run.claim_file.exists()
    assert not run.failure_file.exists()


def test_a_done_run_is_not_trained_again(tasks, own_runs):
    task = by_method(tasks, "linear")
    first = run_task(task, own_runs, Options(threads=1))
    stamp = RunDir.of(task, own_runs.runs).result_file.stat().st_mtime_ns
    assert run_task(task, own_runs, Options(threads=1)) == first
    assert RunDir.of(task, own_runs.runs).result_file.stat().st_mtime_ns == stamp


def test_numbers_do_not_depend_on_what_ran_before(tasks, own_runs, tmp_path):
    task = by_method(tasks, "conformer")
    torch.manual_seed(1)
    first = run_task(task, own_runs, Options(threads=1))
    torch.manual_seed(2)
    torch.rand(1000)
    again = run_task(
        task, Places(tmp_path / "again", own_runs.data, own_runs.cache), Options(threads=1)
    )
    assert first["metrics"] == again["metrics"]


def test_a_run_claimed_by_another_process_is_refused(tasks, own_runs):
    task = by_method(tasks, "lora")
    run = RunDir.of(task, own_runs.runs)
    run.path.mkdir(parents=True)
    with Claim(run.claim_file), pytest.raises(RunIsTaken, match="is working on this run"):
        run_task(task, own_runs, Options(threads=1))


def test_a_diverged_run_names_the_step_and_advice(tasks, own_runs):
    task = by_method(tasks, "full")
    task = task.model_copy(update={"train": task.train.model_copy(update={"lr": 1e30})})
    with pytest.raises(
        Diverged,
        match=r"epoch 1, step 2; first not finite: the output of backbone.*rate lower than 1e\+30",
    ):
        run_task(task, own_runs, Options(threads=1))
    state = RunDir.of(task, own_runs.runs).state()
    assert state.kind == "failed"
    assert "the loss is" in state.reason
    assert "Diverged" in RunDir.of(task, own_runs.runs).log_file.read_text()


def test_test_last_and_test_best_are_different_weights(tasks, own_runs):
    """With a rate far too high the last epoch is rarely the best one."""
    task = by_method(tasks, "bottleneck")
    task = task.model_copy(update={"train": task.train.model_copy(update={"lr": 0.3, "epochs": 6})})
    result = run_task(task, own_runs, Options(threads=1))
    scores = [row["val_accuracy"] for row in RunDir.of(task, own_runs.runs).metrics()]
    assert result["best_epoch"] == scores.index(max(scores)) + 1
    assert result["metrics"]["val_best"]["accuracy"] == max(scores)
    assert result["metrics"]["test_best"] != result["metrics"]["test_last"]


@pytest.mark.parametrize(("best_by", "epoch"), [(None, 2), ("loss", 3), ("f1", 1)])
def test_the_best_epoch_is_by_the_metric_that_the_task_names(
    tasks, own_runs, monkeypatch, best_by, epoch
):
    """Of a loss the lowest; the first of equals; the result records the metric."""
    epochs = [(0.5, 0.9, 3.0), (0.7, 0.6, 2.0), (0.7, 0.9, 1.0)]
    measured = [dict(zip(("accuracy", "f1", "loss"), one, strict=True)) for one in epochs]
    tested = iter([*measured, measured[0], measured[0]])
    monkeypatch.setattr(Classification, "measure", lambda *clips: next(tested))
    task = by_method(tasks, "linear")
    train = task.train.model_copy(update={"epochs": 3, "best_by": best_by})
    result = run_task(task.model_copy(update={"train": train}), own_runs, Options(threads=1))
    assert (result["best_epoch"], result["best_by"]) == (epoch, best_by or "accuracy")
    assert result["metrics"]["val_best"] == measured[epoch - 1]


def test_weights_are_kept_where_they_are_small() -> None:
    small = {"a": torch.zeros(1000)}
    large = {"a": torch.zeros(SMALL_MB * 250_000)}  # of 4 bytes
    best = {"a": torch.ones(1000)}
    assert kept("last-if-small", small, best) is small
    assert kept("best-if-small", small, best) is best
    assert kept("last-if-small", large, best) == kept("none", small, best) == {}
    assert kept("last", large, best) is large


def test_a_run_tells_once_what_it_took_of_its_backbone(tasks, own_runs):
    task = by_method(tasks, "linear")
    result = run_task(task, own_runs, Options(threads=1))
    assert result["backbone"] == {
        "layout": "library",
        "taken": 39,
        "dropped": {},
        "new": ["position embeddings"],
        "notes": [],
        "grids": [[12, 12], [12, 9]],
    }
    said = (
        f"\n{task.backbone.source}: layout library; 39 tensors taken; dropped: none; "
        "new: position embeddings; patches 12 x 12 -> 12 x 9\n"
    )
    assert RunDir.of(task, own_runs.runs).log_file.read_text().count(said) == 1


def test_a_run_from_a_random_start_says_that_everything_is_new(tasks, own_runs):
    shape = Shape(hidden=8, layers=1, heads=1, mlp=8)
    new = {"source": "new", "shape": shape}
    task = by_method(tasks, "linear")
    task = task.model_copy(update={"backbone": task.backbone.model_copy(update=new)})
    result = run_task(task, own_runs, Options(threads=1))
    assert (result["backbone"]["layout"], result["backbone"]["new"]) == ("none", ["everything"])
