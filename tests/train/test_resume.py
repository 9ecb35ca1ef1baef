"""A run that is stopped, killed or out of disk space ends with the same numbers and weights."""

import json
import multiprocessing
import os
import random
import resource
import signal
import time

import pytest

from petl.config.options import Options
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train import checkpoint
from petl.train.run import Interrupted, run_task

EACH_STEP = Options(threads=1, checkpoint_minutes=0)


def changed(tasks, method, weights="best", **train):
    task = next(task for task in tasks if task.names.method == method)
    settings = task.train.model_dump() | train
    return task.model_copy(
        update={"train": type(task.train).model_validate(settings), "weights": weights}
    )


def ends(run: RunDir):
    """All that a run leaves behind, less times."""
    result = run.result()
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in run.metrics()]
    kept = ("metrics", "confusion", "best_epoch", "epochs", "params")
    return {key: result[key] for key in kept}, rows, run.weights_file.read_bytes()


@pytest.fixture
def twice(places, tmp_path):
    """Two sets of run directories over the same data: one for the undisturbed run."""
    return tuple(Places(tmp_path / name, places.data, places.cache) for name in ("a", "b"))


def stopped_again_and_again(task, places, steps):
    """Every `steps` steps somebody asks the run to stop, and somebody starts it again."""
    for tries in range(1, 1000):
        try:
            run_task(task, places, Options(threads=1), stop=after(steps))
            return tries
        except Interrupted:
            pass
    raise AssertionError("no progress")


def after(steps):
    """Says stop when it is asked for the so-manieth time, and from then on."""
    left = iter(range(steps - 1))
    return lambda: next(left, None) is None


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("conformer", {}),
        ("lora", {"mixup": {"share": 0.5, "alpha": 10.0}, "label_smoothing": 0.1}),
        ("full", {"head_first": 0.5, "clip_norm": 1.0, "warm_up": 0.5, "head_lr": 1e-3}),
        ("bottleneck", {"later_batches": [{"epoch": 2, "batch_size": 12}], "patience": 1}),
        ("spt-3", {"micro_batch": 3, "layer_checkpointing": "on", "precision": "bf16"}),
        ("convpass", {}),
        ("linear", {"sampling": "balanced"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) or "plain",
)
def test_a_run_stopped_every_other_step_equals_an_uninterrupted_run(tasks, twice, method, settings):
    task = changed(tasks, method, **settings)
    run_task(task, twice[0], Options(threads=1))
    tries = stopped_again_and_again(task, twice[1], steps=2)
    assert tries > 3
    assert ends(RunDir.of(task, twice[1].runs)) == ends(RunDir.of(task, twice[0].runs))
    assert RunDir.of(task, twice[1].runs).result()["timing"]["tries"] == tries


def train(task, places):
    run_task(task, places, EACH_STEP)


@pytest.mark.slow
def test_a_run_killed_at_random_moments_equals_an_uninterrupted_run(tasks, twice):
    """SIGKILL, most often in the middle of writing a checkpoint: there is one after each step."""
    task = changed(tasks, "conformer", epochs=8)
    run_task(task, twice[0], Options(threads=1))
    run = RunDir.of(task, twice[1].runs)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["petl.train.run", "transformers"])
    draw = random.Random(0)
    kills = 0
    while run.result() is None:
        worker = context.Process(target=train, args=(task, twice[1]))
        worker.start()
        if worker_is_at_work(run, worker):
            worker.join(draw.uniform(0, 0.15))
        if worker.is_alive() and kills < 12:
            os.kill(worker.pid, signal.SIGKILL)
            kills += 1
        worker.join(60)
        assert worker.exitcode in (0, -signal.SIGKILL)
    assert kills > 3, "the run was over before it was disturbed"
    assert ends(run) == ends(RunDir.of(task, twice[0].runs))
    left = {file.name for file in run.path.iterdir()}
    assert left == {"task.json", "metrics.jsonl", "result.json", "weights.safetensors", "log.txt"}


def worker_is_at_work(run, worker):
    """Has it taken the claim? Kills before that teach little."""
    deadline = time.monotonic() + 30
    while worker.is_alive() and time.monotonic() < deadline:
        try:
            if json.loads(run.claim_file.read_text())["pid"] == worker.pid:
                return True
        except (OSError, ValueError):
            pass
        time.sleep(0.005)
    return False


def half_way(task, places):
    """A run with two checkpoints, stopped in its last epoch."""
    with pytest.raises(Interrupted):
        run_task(task, places, EACH_STEP, stop=after(8))
    return RunDir.of(task, places.runs)


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty", "both"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tasks, twice, damage):
    task = changed(tasks, "bottleneck")
    run_task(task, twice[0], Options(threads=1))
    run = half_way(task, twice[1])
    content = bytearray(run.resume_file.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "one bit":
        content[len(content) // 2] ^= 1
    else:
        content = b""
    run.resume_file.write_bytes(content)
    if damage == "both":
        run.older_resume_file.write_bytes(b"")
    run_task(task, twice[1], Options(threads=1))
    assert ends(run) == ends(RunDir.of(task, twice[0].runs))
    resumed = "continues in epoch" in run.log_file.read_text()
    assert resumed == (damage != "both")


def train_with_little_room(task, places, bytes_per_file):
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_per_file, bytes_per_file))
    run_task(task, places, EACH_STEP)


def test_a_full_disk_stops_the_run_and_keeps_the_checkpoint(tasks, twice):
    task = changed(tasks, "bottleneck")
    run_task(task, twice[0], Options(threads=1))
    run = half_way(task, twice[1])
    before = run.resume_file.read_bytes()
    context = multiprocessing.get_context("forkserver")
    room = len(before) // 2
    worker = context.Process(target=train_with_little_room, args=(task, twice[1], room))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 1
    failure = json.loads(run.failure_file.read_text())
    assert failure["class"] == "disk-full"
    assert "no space for a checkpoint" in failure["message"]
    assert run.resume_file.read_bytes() == before
    assert not [file for file in run.path.iterdir() if file.name.startswith(".")]
    run_task(task, twice[1], Options(threads=1))
    assert ends(run) == ends(RunDir.of(task, twice[0].runs))


def test_a_resumed_run_keeps_its_number_of_threads(tasks, own_runs):
    """Another one rounds differently. A number that no machine has is not believed."""
    run = RunDir.of(changed(tasks, "linear"), own_runs.runs)

    def stop(steps, threads):
        with pytest.raises(Interrupted):
            options = Options(threads=threads, checkpoint_minutes=0)
            run_task(changed(tasks, "linear"), own_runs, options, stop=after(steps))
        return checkpoint.read(run.resume_file)

    assert stop(2, threads=1)["threads"] == 1
    state = stop(1, threads=2)
    assert (state["threads"], state["tries"]) == (1, 2)
    for file in (run.resume_file, run.older_resume_file):
        file.write_bytes(checkpoint._pack(state | {"threads": 10**6}))
    assert stop(1, threads=1)["tries"] == 1
    assert "a checkpoint of another run" in run.log_file.read_text()


@pytest.mark.parametrize("other", [False, True], ids=["of an earlier version", "of other code"])
def test_a_run_that_goes_on_with_other_code_says_so_in_its_result(tasks, own_runs, other):
    """A checkpoint of an earlier version, which does not tell its code, is continued from."""
    task = changed(tasks, "linear")
    with pytest.raises(Interrupted):
        run_task(task, own_runs, EACH_STEP, stop=after(3))
    run = RunDir.of(task, own_runs.runs)
    state = checkpoint.read(run.resume_file)
    (row,) = state.pop("codes")
    if other:
        state["codes"] = [row | {"source": "0" * 64}]
    checkpoint.Checkpoints(run, 0).save(state)
    code = run_task(task, own_runs, EACH_STEP)["environment"]["code"]
    assert code["mixed"] and [row["from_try"] for row in code["tries"]] == [1, 2]
    assert [row["source"] for row in code["tries"]] == ["0" * 64 * other, code["source"]]
