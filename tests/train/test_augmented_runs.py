"""From a generator's fit to a run that trains on its clips, and is stopped again and again."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from analysis import collect
from petl.config import Task
from petl.config.options import Options
from petl.config.study import load_study
from petl.places import Places
from petl.runs.directory import RunDir
from petl.runs.find import any_run
from petl.train.run import Interrupted, run_task

pytestmark = pytest.mark.slow


@pytest.fixture
def studies(tasks, tmp_path) -> tuple[list[Task], list[Task]]:
    """A generator of two folds, and runs of both with half of their clips synthetic."""
    plain = next(task for task in tasks if task.names.method == "lora")
    dataset = plain.dataset.model_dump(mode="json", exclude_defaults=True)
    common = {
        "datasets": {"tiny": {"dataset": dataset}},
        "backbones": {"tiny": {"backbone": {"family": "ast", "source": plain.backbone.source}}},
    }
    matrix = {"dataset": "tiny", "backbone": "tiny", "fold": [0, 1], "seed": 10}
    generator = {"set": {"generator": {"width": 4, "steps": 2}, "train": {"epochs": 2}}}
    made = common | generator | {"matrix": matrix | {"method": "flow"}}
    ours = common | {
        "matrix": matrix | {"method": "bitfit"},
        "augment": {"generator": "made/flow", "share": 0.5},
        "set": {"train": {"epochs": 2, "batch_size": 8, "mixup": {"alpha": 1.0, "share": 0.5}}},
        "keep_weights": True,
    }
    for name, study in (("made", made), ("ours", ours)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(study))
    return load_study(tmp_path / "made.yaml").tasks, load_study(tmp_path / "ours.yaml").tasks


def ends(task: Task, places: Places) -> list[object]:
    run = RunDir.of(task, places.runs)
    rows = [{key: row[key] for key in row if key != "seconds"} for row in run.metrics()]
    result = run.result()
    return [rows, result["metrics"], result["synthetic_clips"], run.weights_file.read_bytes()]


def test_a_run_on_clips_of_a_fitted_generator_ends_alike_however_often_it_stops(
    studies, own_runs, tmp_path
) -> None:
    made, (task, other) = studies
    one_thread = Options(threads=1)
    run_task(made[0], own_runs, one_thread)
    result = run_task(task, own_runs, one_thread)
    clips = result["clips"]
    assert result["synthetic_clips"]["generator"] == made[0].run_id == task.augment.generator
    assert result["synthetic_clips"]["clips"] == round(clips["train"] / 2)
    frame = collect.load(tmp_path / "ours.yaml", own_runs.runs)
    assert frame["augment.share"].tolist() == [0.5, 0.5]
    assert frame["augment.generator"].tolist() == [one.run_id for one in made]
    assert np.sum(result["confusion"]["test_last"]) == clips["test"]

    again = Places(tmp_path / "again", own_runs.data, tmp_path / "another cache")
    run = any_run(made[0].run_id, own_runs.runs)
    (again.runs / "made").mkdir(parents=True)
    (again.runs / "made" / run.path.name).symlink_to(run.path)
    stops = 0
    while RunDir.of(task, again.runs).result() is None:
        left = iter(range(3))
        try:
            run_task(task, again, one_thread, stop=lambda left=left: next(left, None) is None)
        except Interrupted:
            stops += 1
    assert stops > 1
    assert ends(task, again) == ends(task, own_runs)
    assert other.run_id != task.run_id and other.augment.generator == made[1].run_id
