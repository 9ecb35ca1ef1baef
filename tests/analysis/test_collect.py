from analysis import load
from analysis.collect import metrics


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
    assert list(frame["state"]) == ["done", "stopped", "broken", "broken", "stopped"]
    reasons = list(frame["reason"])
    assert reasons[1] == reasons[4] == "result.json is damaged"
    assert f"another run, {good.run_id}" in reasons[2]
    assert "schema 2" in reasons[3]
    assert all("\n" not in reason for reason in reasons)


def test_a_metric_that_is_no_number_is_nan(made_study, made_result):
    made = made_study(matrix={"method": "linear", "fold": [0, 1]})
    for task, accuracy in zip(made.study.tasks, (None, "high"), strict=True):
        result = made_result(task, 0.5)
        result["metrics"]["test_last"]["accuracy"] = accuracy
        made.write(task, result)
    frame = load(made.study, made.runs)
    assert list(frame["state"]) == ["done", "done"]
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
