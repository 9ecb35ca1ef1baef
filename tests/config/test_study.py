"""What a study becomes: which tasks, in which order, with which settings and ids."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import yaml

from petl.config import Adapter, Conformer, LoRA, Task
from petl.config.selection import one_task
from petl.config.study import EXPERIMENTS, Study, expand, load_study, study_of
from petl.config.yamlfile import _Loader  # of a key given twice, the last one counts
from petl.errors import UserError

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix:
  dataset: [esc50, speech-commands]
  backbone: ast
  method: [linear, conformer-pfeiffer, lora]
  fold: all
  seed: [10, 11]
"""


def study(more: str = "", name: str = "study") -> Study:
    return study_of(yaml.load(STUDY + more, Loader=_Loader), name)


def one(study: Study, **wanted: str | int) -> Task:
    return one_task(study.tasks, study.path, **{"fold": 0, "seed": 10} | wanted)


def test_tasks_come_in_the_order_of_the_file_then_by_seed_and_fold() -> None:
    keys = [(t.names.dataset, t.names.method, t.seed, t.fold) for t in study().tasks]
    methods = ["linear", "conformer-pfeiffer", "lora"]
    assert keys == [
        (dataset, method, seed, fold)
        for dataset, folds in (("esc50", 5), ("speech-commands", 1))
        for method in methods
        for seed in (10, 11)
        for fold in range(folds)
    ]


def test_reading_twice_gives_the_same_tasks() -> None:
    assert study().tasks == study().tasks


def test_run_ids_never_change() -> None:
    """A changed id orphans every finished run. These two may change in a new major version only."""
    quickstart = load_study(EXPERIMENTS / "quickstart.yaml")
    table1 = load_study(EXPERIMENTS / "table1.yaml")
    assert one(quickstart, method="linear", fold=3).run_id == "b6f981e2227d4060"
    assert one(table1, dataset="esc50", method="conformer-houlsby").run_id == "85a346e87d7ae63a"


def test_names_are_no_part_of_the_id() -> None:
    more = "methods:\n  lora: {label: Low rank, method: {family: lora, reduction: 128, "
    more += "targets: [q, v]}, train: {lr: 5e-3}}\n"
    renamed, plain = study(more, name="other"), study()
    a, b = one(renamed, dataset="esc50", method="lora"), one(plain, dataset="esc50", method="lora")
    assert a.names != b.names
    assert a.run_id == b.run_id


def test_every_setting_is_part_of_the_id() -> None:
    ids = {task.run_id for task in study().tasks}
    assert len(ids) == len(study().tasks)
    changed = study("set: {train: {eps: 1e-7}}\n")
    assert ids.isdisjoint(task.run_id for task in changed.tasks)


def test_a_number_has_one_id_however_it_is_written() -> None:
    a, b = study("set: {train: {weight_decay: 1}}\n"), study("set: {train: {weight_decay: 1.0}}\n")
    assert [t.run_id for t in a.tasks] == [t.run_id for t in b.tasks]


def test_a_task_survives_json() -> None:
    for task in study().tasks:
        again = Task.model_validate(task.to_json())
        assert again == task
        assert again.run_id == task.run_id


def test_when_applies_to_what_it_matches_and_later_rules_win() -> None:
    rules = """\
when:
  - {dataset: esc50, method: conformer-*, set: {method: {block: {kernel: 8}}}}
  - {method: [lora, linear], set: {train: {epochs: 7}}}
  - {method: lora, set: {train: {epochs: 8}}}
"""
    loaded = study(rules)
    kernels = {}
    for dataset in ("esc50", "speech-commands"):
        method = one(loaded, dataset=dataset, method="conformer-pfeiffer").method
        assert isinstance(method, Adapter) and isinstance(method.block, Conformer)
        kernels[dataset] = method.block.kernel
    assert kernels == {"esc50": 8, "speech-commands": 31}
    epochs = {m: one(loaded, dataset="esc50", method=m).train.epochs for m in ("lora", "linear")}
    assert epochs == {"lora": 8, "linear": 7}


def test_set_wins_over_presets_and_when_over_set() -> None:
    loaded = study("set: {train: {lr: 0.5}}\nwhen: [{method: lora, set: {train: {lr: 0.25}}}]\n")
    assert one(loaded, dataset="esc50", method="linear").train.lr == 0.5
    assert one(loaded, dataset="esc50", method="lora").train.lr == 0.25


def test_only_keeps_and_except_drops() -> None:
    more = "only: [{dataset: esc50, fold: [0, 1]}, {method: lora}]\nexcept: [{seed: 11}]\n"
    kept = [(t.names.dataset, t.names.method, t.fold) for t in study(more).tasks]
    assert kept == [
        *(
            ("esc50", method, fold)
            for method in ("linear", "conformer-pfeiffer")
            for fold in (0, 1)
        ),
        *(("esc50", "lora", fold) for fold in range(5)),
        ("speech-commands", "lora", 0),
    ]


def test_like_starts_from_another_preset() -> None:
    loaded = study("methods:\n  linear: {like: lora, label: Small, method: {reduction: 64}}\n")
    small, lora = (one(loaded, dataset="esc50", method=m) for m in ("linear", "lora"))
    assert isinstance(small.method, LoRA)
    assert small.method.reduction == 64
    assert small.method.targets == ("q", "v")
    assert small.train == lora.train
    assert small.names.method_label == "Small"


def test_a_block_of_another_kind_replaces_the_old_one() -> None:
    loaded = study(
        "methods:\n  linear: {like: conformer-pfeiffer, "
        "method: {block: {kind: bottleneck, reduction: 8}}}\n"
    )
    method = one(loaded, dataset="esc50", method="linear").method
    assert isinstance(method, Adapter)
    assert method.block.model_dump() == {"kind": "bottleneck", "reduction": 8, "init": "normal"}


def test_the_profile_switches_what_the_method_has() -> None:
    as_run = one(study(), dataset="esc50", method="lora")
    changed = study("profile: as-intended\n")  # the last one counts
    intended = one(changed, dataset="esc50", method="lora")
    assert isinstance(as_run.method, LoRA) and isinstance(intended.method, LoRA)
    assert (as_run.method.init, as_run.method.scale) == ("normal", 0.125)
    assert (intended.method.init, intended.method.scale) == ("zero-up", 8.0)
    assert intended.dataset.statistics == "training-split"


def test_table1_is_the_papers() -> None:
    """Eleven methods on 5 + 10 + 1 + 1 folds."""
    tasks = load_study(EXPERIMENTS / "table1.yaml").tasks
    assert len(tasks) == len({task.run_id for task in tasks}) == 11 * 17


@pytest.mark.parametrize(
    ("name", "runs"),
    [("table2", 96), ("table3", 48), ("scaling", 48), ("kernel", 96), ("placement", 72),
     ("lora-targets", 66)],
)  # fmt: skip
def test_the_papers_other_tables_and_its_ablations_have_no_run_twice(name: str, runs: int) -> None:
    tasks = load_study(EXPERIMENTS / f"{name}.yaml").tasks
    assert len(tasks) == len({task.run_id for task in tasks}) == runs


def test_a_study_of_the_suite_needs_its_name_only(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_study("table2") == load_study(EXPERIMENTS / "table2.yaml")
    Path("table2").write_text(STUDY)
    assert load_study("table2").path == Path("table2")
    with pytest.raises(UserError, match=r"no study 'tabel1' in .*; did you mean 'table1'\?"):
        load_study("tabel1")


def test_few_shot_studies_draw_as_their_profile_says() -> None:
    first = load_study(EXPERIMENTS / "table2.yaml").tasks[0].dataset.few_shot
    assert first is not None and (first.per_class, first.draw) == (1, "first")


def test_the_placement_grid_is_the_released_codes_six_models() -> None:
    found = {
        (task.method.placement, task.method.composition, task.method.residual)
        for task in load_study(EXPERIMENTS / "placement.yaml").tasks
        if isinstance(task.method, Adapter)
    }
    ways = {("parallel", False), ("before", True), ("sequential", True)}
    assert found == {((branch,), *way) for branch in ("attention", "ffn") for way in ways}


# --- choosing one task ----------------------------------------------------------------------------


def test_an_exact_name_wins_over_a_pattern_and_that_over_a_beginning() -> None:
    tasks = study("methods:\n  linear: {like: lora}\n  lora: {like: conformer-pfeiffer}\n").tasks
    path = Path("study.yaml")

    def chosen(**wanted: str | int | None) -> str:
        return str(one_task(tasks, path, **wanted, fold=0, seed=10))

    assert chosen(dataset="esc50", method="lora") == "esc50 · lora · fold 0 · seed 10"
    assert chosen(dataset="speech*", method="*pfeiffer").startswith("speech-commands · conformer")
    assert chosen(dataset="e", method="conf", backbone=None).startswith(
        "esc50 · conformer-pfeiffer"
    )


def test_a_choice_that_leaves_several_names_what_would_decide() -> None:
    with pytest.raises(UserError) as error:
        one_task(study().tasks, Path("s.yaml"), dataset="esc50", method="l", seed=10, fold=None)
    assert str(error.value) == (
        "s.yaml: 10 tasks match; add --method (linear, lora) and --fold (0, 1, 2, 3, 4)"
    )


def test_a_choice_that_leaves_none_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no task with method 'loar'; did you mean 'lora'\?"):
        one_task(study().tasks, Path("s.yaml"), method="loar")
    with pytest.raises(UserError, match=r"no task with fold '7'; it can be 0, 1, 2, 3, 4"):
        one_task(study().tasks, Path("s.yaml"), dataset="esc50", fold=7)


def test_a_changed_copy_has_the_id_that_it_would_have_alone() -> None:
    """Ids are computed once for what tasks share, and a copy shares most of it."""
    task = load_study(EXPERIMENTS / "quickstart.yaml").tasks[0]
    assert task.run_id == task.model_copy(deep=True).run_id
    rate = task.train.model_copy(update={"lr": 0.5})
    for change in ({"fold": 3}, {"seed": 3}, {"train": rate}):
        changed = task.model_copy(update=change)
        alone = Task.model_validate_json(changed.model_dump_json())
        assert changed.run_id == alone.run_id != task.run_id
    assert task.model_copy(update={"weights": "best"}).run_id == task.run_id


def test_thousands_of_tasks_that_come_and_go_have_thousands_of_ids() -> None:
    """What is remembered of one that is gone is not taken for another's in the same place."""
    task = load_study(EXPERIMENTS / "quickstart.yaml").tasks[0]
    ids = set()
    for i in range(1, 3001):
        train = task.train.model_copy(update={"lr": i / 1000})
        ids.add(task.model_copy(update={"train": train}).run_id)
    assert len(ids) == 3000


# --- studies without a file -----------------------------------------------------------------------

SMALL = {
    "description": "no file",
    "profile": "as-run",
    "report": "test_last",
    "matrix": {
        "dataset": "esc50",
        "backbone": "ast",
        "method": ["linear", "small"],
        "fold": 0,
        "seed": 1,
    },
    "methods": {"small": {"like": "lora", "method": {"reduction": 64}}},
}


def test_a_mapping_gives_the_tasks_that_a_file_of_it_gives(tmp_path: Path) -> None:
    before = copy.deepcopy(SMALL)
    tasks = expand(SMALL, "mine")
    assert before == SMALL
    (tmp_path / "mine.yaml").write_text(json.dumps(SMALL))
    assert tasks == load_study(tmp_path / "mine.yaml").tasks
    assert [task.names.study for task in tasks] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"profil": "as-run"}, "mine, profil: unknown key 'profil'; did you mean 'profile'?"),
        ({"set": {"train": {"lr": -1}}}, "mine, set.train.lr: train.lr should be greater than 0"),
        ({"methods": {"small": {"like": "lorra"}}}, "mine, methods.small.like: unknown method"),
        (
            {"matrix": SMALL["matrix"] | {"fold": 7}},
            "mine, matrix.fold: there is no fold 7: esc50 has folds 0-4",
        ),
    ],
)
def test_a_mistake_in_a_mapping_names_the_key(change: dict, told: str) -> None:
    with pytest.raises(UserError) as error:
        expand(SMALL | change, "mine")
    assert str(error.value).startswith(told)
