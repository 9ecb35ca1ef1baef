import shutil

import pandas as pd
import pytest
from made_runs import finished, stopped

from analysis import history, load, synthetic
from analysis.collect import metrics
from petl.errors import UserError
from petl.runs.directory import RunDir


def test_a_finished_run_is_a_row_with_its_metrics_costs_and_origin(made_study):
    made = made_study(matrix={"method": "lora", "fold": 2}).run(lambda task: 0.75)
    (row,) = load(made.study, made.runs).to_dict("records")
    assert row["state"] == "done"
    assert (row["study"], row["dataset"], row["backbone"]) == ("made", "esc50", "ast")
    assert (row["method"], row["fold"], row["seed"]) == ("lora", 2, 10)
    assert (row["dataset_label"], row["method_label"]) == ("ESC", "LoRA")
    assert row["run_id"] == made.study.tasks[0].run_id
    assert (row["test_last.accuracy"], row["test_best.accuracy"]) == (0.75, 0.76)
    assert row["params.trainable_without_head"] == 222_720
    assert (row["best_epoch"], row["timing.seconds"]) == (3, 1.5)
    assert row["environment.git_commit"] == "0" * 40
    assert "environment.image" in row
    assert "environment.lock_hash" in row
    assert row["environment.synthetic"] is True


def test_a_task_without_a_run_is_a_row_too(made_study):
    made = made_study().run(lambda task: 0.9 if task.fold != 3 else None)
    frame = load(made.study, made.runs)
    assert len(frame) == len(made.study.tasks) == 10
    missing = frame[frame["state"] != "done"]
    assert list(missing["fold"]) == [3, 3]
    assert list(missing["state"]) == ["waiting", "waiting"]
    assert missing["test_last.accuracy"].isna().all()


def test_a_study_without_any_run_has_all_the_columns(made_study):
    made = made_study()
    frame = load(made.study, made.runs)
    assert frame["test_last.accuracy"].isna().all()
    assert frame["params.trainable"].isna().all()
    assert metrics(frame) == []


def test_broken_runs_are_listed_with_their_reason_and_stop_nothing(made_study, made_result):
    made = made_study(matrix={"method": "linear"})
    good, half, foreign, newer, empty = made.study.tasks
    made.write(good, made_result(good, 0.5))
    made.write(half, '{"schema": 1, "run_id"')
    made.write(foreign, made_result(good, 0.5))
    made.write(newer, made_result(newer, 0.5) | {"schema": 2})
    made.write(empty, [])
    frame = load(made.study, made.runs)
    assert list(frame["state"]) == ["done", "broken", "broken", "broken", "broken"]
    reasons = list(frame["reason"])
    assert reasons[1] == reasons[4] == "result.json: not a whole JSON mapping"
    assert f"another run, {good.run_id}" in reasons[2]
    assert reasons[3] == "result.json: schema 2; this version reads 1"
    assert all("\n" not in reason for reason in reasons)


def test_a_result_with_a_wrong_or_missing_value_is_broken_and_says_which(made_study, made_result):
    made = made_study(matrix={"method": "linear", "fold": [0, 1, 2]})
    text, nan, lacking = (made_result(task, 0.5) for task in made.study.tasks)
    text["metrics"]["test_last"]["accuracy"] = "high"
    nan["metrics"]["test_last"] = {"accuracy": float("nan")}
    del lacking["timing"]
    for task, result in zip(made.study.tasks, (text, nan, lacking), strict=True):
        made.write(task, result)
    frame = load(made.study, made.runs)
    assert list(frame["state"]) == ["broken", "done", "broken"]
    reasons = list(frame["reason"])
    assert reasons[0].endswith(
        "result.json: metrics.test_last.accuracy should be a number, not 'high'"
    )
    assert reasons[2] == "result.json: 'timing' is missing"
    assert frame["test_last.accuracy"].isna().all()
    assert "test_last.accuracy" not in metrics(frame)


def test_two_names_for_the_same_settings_both_get_the_run(made_study):
    methods = {"twin": {"like": "linear", "label": "Twin"}}
    made = made_study(methods=methods, matrix={"method": ["linear", "twin"], "fold": 0})
    made.run(lambda task: 0.6)
    frame = load(made.study, made.runs)
    assert frame["run_id"].nunique() == 1
    assert list(frame["method_label"]) == ["Linear", "Twin"]
    assert list(frame["test_last.accuracy"]) == [0.6, 0.6]


def test_settings_are_columns_under_their_own_names(made_study):
    made = made_study(matrix={"method": ["conformer-pfeiffer", "lora"], "fold": 0})
    frame = load(made.study, made.runs).set_index("method")
    assert frame.loc["conformer-pfeiffer", "method.block.kernel"] == 31
    assert pd.isna(frame.loc["lora", "method.block.kernel"])
    assert list(frame["train.lr"]) == [task.train.lr for task in made.study.tasks]
    assert frame.loc["lora", "train.betas"] == "0.9, 0.98"
    assert frame.loc["lora", "dataset.statistics.mean"] == -4.268


def test_no_setting_is_taken_for_a_metric(made_study):
    made = made_study(matrix={"method": "linear", "fold": 0}).run(lambda task: 0.5)
    frame = load(made.study, made.runs)
    assert {name.partition(".")[0] for name in metrics(frame)} == {
        *("test_last", "test_best", "val_best")
    }
    assert frame["train.decay"].item() == "everything"


def test_a_run_on_a_gpu_costs_gpu_hours_and_one_on_a_cpu_none(made_study, made_result):
    made = made_study(matrix={"method": "linear", "fold": [0, 1, 2]})
    for task, gpu in zip(made.study.tasks[:2], ("A100", None), strict=True):
        result = made_result(task, 0.5) | {"timing": {"seconds": 5400.0}}
        made.write(task, result | {"environment": {"gpu": gpu}})
    hours = load(made.study, made.runs)["gpu_hours"]
    assert list(hours[:2]) == [1.5, 0.0]
    assert pd.isna(hours[2])


def test_what_is_made_up_says_so(made_study, made_result):
    made = made_study(matrix={"method": "linear", "fold": [0, 1, 2]})
    for task, label in zip(made.study.tasks[:2], ({"synthetic": True}, {}), strict=True):
        made.write(task, made_result(task, 0.5) | label)
    frame = load(made.study, made.runs)
    assert list(frame["synthetic"]) == [True, False, False]
    assert synthetic(frame)
    assert not synthetic(frame[1:])


def test_a_folder_is_read_without_its_study(made_study):
    made = made_study(matrix={"fold": [0, 1]}).run(lambda task: 0.8 if task.fold == 0 else None)
    of_study = load(made.study, made.runs)
    of_study = of_study[of_study["state"] == "done"].sort_values("run_id", ignore_index=True)
    for folder in (made.runs, made.runs / "made", [made.runs / "made"]):
        pd.testing.assert_frame_equal(load(folder), of_study, check_like=True, check_dtype=False)


def test_a_study_may_be_named_by_its_file(made_study, monkeypatch):
    made = made_study(matrix={"fold": 0}).run(lambda task: 0.8)
    monkeypatch.setenv("PETL_RUNS", str(made.runs))
    assert list(load(made.study.path)["test_last.accuracy"]) == [0.8, 0.8]


def test_a_run_in_two_folders_counts_once_and_the_other_is_listed(made_study, tmp_path):
    made = made_study(matrix={"fold": 0}).run(lambda task: 0.8)
    copy = shutil.copytree(made.runs / "made", tmp_path / "copy" / "made")
    frame = load([made.runs / "made", copy])
    assert len(frame) == 2
    assert len(frame.attrs["duplicates"]) == 2
    assert str(copy) in frame.attrs["duplicates"][0]


def test_what_is_broken_in_a_folder_is_listed_too(made_study, made_result):
    made = made_study(matrix={"method": "linear", "fold": [0, 1]})
    good, bad = made.study.tasks
    made.write(good, made_result(good, 0.5))
    made.write(bad, [1, 2]).task_file.write_text("{")
    rows = load(made.runs).set_index("run_id")
    assert rows.loc[good.run_id, "state"] == "done"
    assert rows.loc[bad.run_id, "reason"] == "result.json: not a whole JSON mapping"
    assert rows.loc[bad.run_id, "study"] == "made"
    assert pd.isna(rows.loc[bad.run_id, "fold"])


def test_a_folder_without_runs_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="no runs"):
        load(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        load(tmp_path / "elsewhere")


def test_history_has_a_row_for_each_epoch_also_of_runs_under_way(made_study):
    made = made_study(matrix={"method": "linear", "fold": [0, 1, 2]})
    done, under_way, _ = made.study.tasks
    finished(done, made.runs)
    stopped(under_way, made.runs, 3)
    frame = history(made.study, made.runs)
    assert frame.groupby("fold")["epoch"].agg(list).to_dict() == {
        0: list(range(1, done.train.epochs + 1)),
        1: [1, 2, 3],
    }
    assert set(frame["run_id"]) == {done.run_id, under_way.run_id}
    assert set(frame["method"]) == {"linear"}
    assert {"train_loss", "val_accuracy", "lr", "seconds"} <= set(frame)


def test_a_damaged_history_is_left_out_and_listed(made_study):
    made = made_study(matrix={"method": "linear", "fold": [0, 1]})
    good, bad = (stopped(task, made.runs, 2) for task in made.study.tasks)
    bad.metrics_file.write_text('{"epoch": 1\n{"epoch": 2}\n')
    frame = history(made.study, made.runs)
    assert set(frame["run_id"]) == {good.path.name}
    (listed,) = frame.attrs["broken"]
    assert str(bad.metrics_file) in listed


def test_epochs_that_say_more_than_others_leave_the_others_empty(made_study):
    made = made_study(matrix={"method": "linear", "fold": [0, 1, 2]})
    for task in made.study.tasks:
        stopped(task, made.runs, 2)
    more = RunDir.of(made.study.tasks[1], made.runs).metrics_file
    more.write_text('{"epoch": 1, "val_new": 7}\n{"epoch": 2, "val_new": 8}\n')
    frame = history(made.study, made.runs)
    assert list(frame["fold"]) == [0, 0, 1, 1, 2, 2]
    assert list(frame["val_new"].fillna(-1)) == [-1, -1, 7, 8, -1, -1]
    assert list(frame["lr"].isna()) == [False, False, True, True, False, False]


def test_history_of_nothing_has_no_rows_but_its_columns(made_study):
    made = made_study()
    frame = history(made.study, made.runs)
    assert len(frame) == 0
    assert {"method", "fold", "run_id", "epoch"} <= set(frame)


def test_history_of_rows_of_a_frame_is_that_of_their_runs(made_study):
    made = made_study(matrix={"method": ["linear", "lora"], "fold": 0})
    for task in made.study.tasks:
        stopped(task, made.runs, 2)
    frame = load(made.study, made.runs)
    some = history(frame[frame["method"] == "lora"], made.runs)
    whole = history(made.study, made.runs)
    assert list(some["epoch"]) == [1, 2] and set(some["method"]) == {"lora"}
    assert list(some) == list(whole)
    with pytest.raises(UserError, match="has the column backbone; this one has not"):
        history(frame[["state"]], made.runs)
    with pytest.raises(UserError, match="load takes a study"):
        load(frame)
