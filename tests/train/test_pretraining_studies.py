"""`petl pretrain`: which clips it uses, what it refuses, and that a kill changes no bit."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal

import numpy as np
import pytest
import soundfile
from test_objectives import MASKED, RECONSTRUCT, pretraining
from test_resume import EACH_STEP, ends, worker_is_at_work
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import load_study, study_of
from petl.data.load import load, read
from petl.data.splits import split
from petl.errors import UserError
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train.run import run_task


@pytest.mark.parametrize("how", ["paper", "ast-recipe"])
def test_the_test_clips_of_a_fold_are_not_even_looked_at(places, how):
    layout = {"layout": "esc50", "folds": 5, "split": how}
    dataset = pretraining(**layout).dataset
    corpus = read(dataset, places)
    for fold in range(5):
        labelled = split(corpus, dataset.model_copy(update={"classes": 10}), fold, 10)
        found = split(corpus, dataset, fold, 10)
        used = {*found.train, *found.validation, *found.test}
        assert used and not used & {*labelled.test}
        assert not {*found.train} & {*found.validation}
        assert np.array_equal(found.validation, found.test)


def sounds(folder, *files, seconds=1.0, value=0.1):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        wave = value * np.random.default_rng(0).standard_normal(int(seconds * 16000))
        soundfile.write(folder / file, wave, 16000)


def test_all_sounds_of_a_folder_are_a_corpus_and_a_folder_of_links_makes_one_of_several(tmp_path):
    sounds(tmp_path / "a", *(f"{i}/deep/{i}.wav" for i in range(9)))
    (tmp_path / "a" / "notes.txt").write_text("no sound")
    sounds(tmp_path / "b", *(f"{i}.wav" for i in range(11)))
    (tmp_path / "all").mkdir()
    for name in "ab":
        (tmp_path / "all" / name).symlink_to(tmp_path / name)
    task = pretraining(corpus="all", layout="sounds")
    data = load(task, Places(tmp_path / "runs", tmp_path, tmp_path / "cache"))
    assert (len(data.split.train), len(data.split.validation)) == (18, 2)
    assert data.classes == ()


def test_the_folders_name_of_a_backbone_has_places_for_fold_seed_and_dataset():
    matrix = {"dataset": "esc10", "backbone": "own", "method": "linear", "fold": [0, 3], "seed": 7}
    own = {"family": "ast", "source": "./a/{dataset}-{fold}-{seed}"}
    tasks = study_of({"matrix": matrix, "backbones": {"own": {"backbone": own}}}, "fine").tasks
    assert [task.backbone.source for task in tasks] == ["./a/esc10-0-7", "./a/esc10-3-7"]


TRAIN = {"epochs": 2, "batch_size": 8, "lr": 1e-3}
MIXUP = {"mixup": {"share": 0.5, "alpha": 1.0}}
SOUNDS = {"layout": "sounds", "spec_augment": None}


@pytest.mark.parametrize(
    ("objective", "settings", "line"),
    [
        (MASKED | {"hidden": 0}, {}, "objective.hidden should be greater than 0, not 0"),
        (MASKED | {"hidden": 1}, {}, "objective.hidden should be less than 1, not 1"),
        (
            {"kind": "mask"},
            {},
            "objective.kind cannot be 'mask'; it can be masked-patches, reconstruct",
        ),
        (RECONSTRUCT | {"time": 101}, {}, "a stretch of 101 frames is longer than a clip's 100"),
        (
            MASKED,
            {"train": TRAIN | MIXUP},
            "train.mixup cannot be combined",
        ),
        (MASKED, {"method": {"family": "linear"}}, "use 'method: full', not 'linear'"),
        (None, {"dataset": SOUNDS}, "layout 'sounds' has no labels"),
    ],
)
def test_a_mistake_in_a_study_is_one_line(objective, settings, line):
    with pytest.raises(UserError) as refused:
        pretraining(objective or {}, set=settings)
    assert line in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("seconds", "frames", "line"),
    [
        (0.01, 100, "no training clip holds sound"),
        (
            0.5,
            100,
            "100 frames of 10 ms are longer than every training clip of own",
        ),
        (None, 100, "own: no sound file in it"),
    ],
)
def test_a_corpus_without_sound_and_a_window_longer_than_all_clips_are_one_line(
    tmp_path, seconds, frames, line
):
    (tmp_path / "own").mkdir()
    if seconds:
        sounds(tmp_path / "own", *(f"{i}.wav" for i in range(10)), seconds=seconds)
    task = pretraining(corpus="own", layout="sounds")
    with pytest.raises(UserError, match=line):
        run_task(task, Places(tmp_path / "runs", tmp_path, tmp_path / "cache"), EACH_STEP)


def test_patches_that_overlap_and_a_share_that_hides_nothing_are_refused(places, golden):
    task = pretraining(MASKED | {"hidden": 0.001})
    with pytest.raises(UserError, match="hides none of the 48 patches"):
        run_task(task, places, EACH_STEP)
    shape = task.backbone.shape.model_copy(update={"time_stride": 10})
    overlapping = task.backbone.model_copy(update={"shape": shape})
    with pytest.raises(UserError, match="overlap, with strides 16 and 10"):
        run_task(task.model_copy(update={"backbone": overlapping}), places, EACH_STEP)


STUDY = """
objective: {kind: masked-patches}
matrix: {dataset: own, backbone: ast-new, method: full, fold: [0, 1], seed: 10}
datasets:
  own: {like: esc10, dataset: {corpus: tiny, frames: 100}}
set: {train: {epochs: 1, batch_size: 16, lr: 1e-3}}
"""


def test_the_command_trains_all_folds_and_writes_a_checkpoint_of_each(own_runs, tmp_path):
    file, out, runs = tmp_path / "pre.yaml", str(tmp_path / "out"), ["--runs", str(own_runs.runs)]
    file.write_text(STUDY)

    def petl(*words):
        places = ["--data", str(own_runs.data), "--cache", str(own_runs.cache)]
        all_places = [*runs, *places] if words[0] == "pretrain" else runs
        return CliRunner().invoke(app, [*map(str, words), *all_places])

    assert "one folder for 2 runs" in petl("pretrain", file, "--out", out).stderr
    done = petl("pretrain", file, "--out", f"{out}/{{fold}}")
    assert done.exit_code == 0 and "held-out loss" in done.stdout
    assert {p.parent.name for p in tmp_path.glob("out/*/model.safetensors")} == {"0", "1"}
    again = petl("pretrain", file, "--out", f"{out}/{{fold}}")
    assert again.exit_code == 0 and again.stdout.count("done before") == 2
    run_id = load_study(file).tasks[0].run_id
    assert petl("export", run_id, tmp_path / "exported").exit_code == 0
    assert "a pre-training has no answers" in petl("evaluate", run_id).stderr
    assert "has no `objective`" in petl("pretrain", "quickstart").stderr


def train(task, places):
    run_task(task, places, EACH_STEP)


@pytest.mark.slow
def test_a_pretraining_killed_at_random_moments_ends_with_equal_bits(places, own_runs, tmp_path):
    task = pretraining(MASKED, set={"train": TRAIN | {"epochs": 6}})
    undisturbed = Places(tmp_path / "whole", places.data, places.cache)
    run_task(task, undisturbed, EACH_STEP)
    run, draw, kills = RunDir.of(task, own_runs.runs), random.Random(0), 0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["petl.train.run", "transformers"])
    while run.result() is None:
        worker = context.Process(target=train, args=(task, own_runs))
        worker.start()
        if worker_is_at_work(run, worker):
            worker.join(draw.uniform(0.1, 0.4))
        if worker.is_alive() and kills < 4:
            os.kill(worker.pid, signal.SIGKILL)
            kills += 1
        worker.join(60)
        assert worker.exitcode in (0, -signal.SIGKILL)
    assert kills > 2, "the run was over before it was disturbed"
    assert ends(run) == ends(RunDir.of(task, undisturbed.runs))
