"""One task in, one run directory out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from petl import config
from petl.config.options import Options
from petl.data.ready import prepare_all
from petl.errors import UserError
from petl.places import Places
from petl.runs.claim import Claim, RunIsTaken
from petl.runs.directory import RunDir
from petl.runs.result import Result
from petl.train.attempt import Attempt
from petl.train.failures.kinds import Interrupted, explained

__all__ = ["Interrupted", "run_task", "train"]
from petl.train.watcher import EpochMetrics


def train(
    task: config.Task,
    *,
    runs: str | Path | None = None,
    data: str | Path | None = None,
    cache: str | Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] = lambda metrics: None,
) -> Result:
    """Train one task in this process and return its result, as in result.json.

    A task that has a result is not trained again, and one that was stopped continues. `on_epoch` is
    called with the metrics of each epoch.
    """
    places = Places.choose(runs, data, cache)
    prepare_all([task], places)
    return run_task(task, places, on_epoch=on_epoch)


def run_task(
    task: config.Task,
    places: Places,
    options: Options | None = None,
    *,
    on_epoch: Callable[[EpochMetrics], None] = lambda metrics: None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Train one task, unless it has a result already. A claim keeps other processes away.

    When `stop` returns True, the run saves a checkpoint and raises Interrupted. The next call
    continues from the last checkpoint, as after any other end without a result.
    """
    run = RunDir.of(task, places.runs)
    try:
        if (result := run.result()) is not None:
            return result
        if run.path.is_symlink():  # it may point to a folder of another user's choice
            raise UserError(f"{run.path} is a symbolic link; petl trains only in a real folder")
        run.path.mkdir(parents=True, exist_ok=True)
        with Claim(run.claim_file) as claim:
            if (result := run.result()) is not None:  # another process finished it meanwhile
                return result
            run.start(task)
            attempt = Attempt(task, run, claim, options or Options(), on_epoch, stop)
            return _carry_out(attempt, places)
    except OSError as error:
        raise explained(error, run.path) from None


def _carry_out(attempt: Attempt, places: Places) -> Result:
    try:
        return attempt.carry_out(places)
    except RunIsTaken:  # another process owns the folder now: leave it alone
        raise
    except Interrupted:
        attempt.log(f"asked to stop in epoch {attempt.fit.epoch}, step {attempt.fit.step}")
        raise
    except Exception as error:  # whatever it is, failure.json says so
        attempt.claim.check()  # what meets another process's files is no failure of the run
        if not isinstance(error, OSError):
            attempt.fail(error)
            raise
        known = explained(error, attempt.run.path)
        attempt.fail(known)
        raise known from None
    finally:
        attempt.trackers.end(None)
