"""Jobs survive all that happens to them on a cluster: `make rehearse SEEDS="1 2 3"`.

A seed draws the order of the troubles, and the numbers of its runs too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from petl.places import Places
from rehearsal.checks import problems
from rehearsal.perform import Performance, Record, draw_troubles
from rehearsal.short_study import ShortStudy, label
from rehearsal.troubles import Trouble
from slurm.devcluster import DevCluster
from slurm.devcluster.packages import why_unavailable
from slurm.format import duration
from slurm.status.plan import Item
from slurm.submit.threads import cpus

SEEDS = [int(word) for word in os.environ.get("REHEARSAL_SEEDS", "1").split()]

pytestmark = pytest.mark.rehearsal


@dataclass(frozen=True)
class Rehearsal:
    folder: Path
    cluster: DevCluster

    def study(self, name: str, seeds: Sequence[int]) -> ShortStudy:
        folder = self.folder / name
        places = Places(folder / "runs", self.folder / "data", self.folder / "cache")
        return ShortStudy(folder, seeds, places)


@pytest.fixture(scope="module")
def rehearsal(request: pytest.FixtureRequest) -> Iterator[Rehearsal]:
    """A cluster of its own. After a failure the runs and all logs are kept."""
    if reason := why_unavailable():
        pytest.fail(f"the rehearsal needs Slurm and root: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="petl-rehearsal-"))
    folder.chmod(0o755)  # munged refuses a socket in a folder that other users cannot enter
    before = request.session.testsfailed
    try:
        with DevCluster(folder / "cluster") as cluster, pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(cluster.layout.slurm_conf))
            yield Rehearsal(folder, cluster)
            if request.session.testsfailed > before:
                shutil.copytree(cluster.layout.logs, folder / "log")
    finally:
        if request.session.testsfailed > before:
            print(f"\nthe runs and the logs of the cluster are kept in {folder}")
        else:
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def undisturbed(rehearsal: Rehearsal) -> ShortStudy:
    """The same runs on this machine: what all others have to equal, byte for byte."""
    study = rehearsal.study("here", SEEDS)
    print(f"\n{len(study.study.tasks)} runs on this machine")
    study.run_on_this_machine(cpus())
    return study


def test_undisturbed_jobs_give_the_numbers_of_this_machine(
    rehearsal: Rehearsal, undisturbed: ShortStudy
) -> None:
    study = rehearsal.study("calm", SEEDS)
    perform(study, undisturbed, rehearsal.cluster, Random(0), [])


@pytest.mark.parametrize("seed", SEEDS)
def test_disturbed_jobs_give_the_same_numbers(
    rehearsal: Rehearsal, undisturbed: ShortStudy, seed: int
) -> None:
    rng, study = Random(seed), rehearsal.study(f"seed-{seed}", [seed])
    perform(study, undisturbed, rehearsal.cluster, rng, draw_troubles(rng))


def perform(
    study: ShortStudy,
    undisturbed: ShortStudy,
    cluster: DevCluster,
    rng: Random,
    coming: list[Trouble],
) -> None:
    print(f"\n{len(study.study.tasks)} runs through Slurm{' with troubles' if coming else ''}")
    record = Performance(study, cluster, rng, coming).run()
    print("\n".join(f"    {story(item, record)}" for item in study.plan().items))
    assert list(problems(study, undisturbed, record, cluster)) == []
    arrays = len({item.attempts[-1].array_task.array for item in study.plan().items})
    print(
        f"  all done once, with equal numbers and weights, in {duration(record.seconds)}; submitted"
        f" {record.submitted} times, {arrays} arrays, {record.most_running} jobs at a time at most"
    )


def story(item: Item, record: Record) -> str:
    """What one run went through."""
    parts = [event.what for event in record.events if item.task.run_id in event.runs]
    result = item.run.result()
    tries = result["timing"].get("tries", 1) if result else 0
    if len(item.attempts) > 1:
        parts.append(f"submitted {len(item.attempts)} times")
    if tries > 1:
        parts.append(f"started {tries} times")
    return f"{label(item.task):25} {', '.join(parts) or 'undisturbed'}"
