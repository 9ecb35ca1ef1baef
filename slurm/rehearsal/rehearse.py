"""The rehearsal as a whole: here, through Slurm undisturbed, and with troubles for each seed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from petl.places import Places
from slurm.devcluster import DevCluster
from slurm.rehearsal.judge import complaints
from slurm.rehearsal.play import Play, Say, play, troubles
from slurm.rehearsal.stage import Stage, label
from slurm.status.plan import Item
from slurm.submit.local import cpus
from slurm.words import duration, several


def rehearse_alone(seeds: Sequence[int], places: Places, say: Say) -> Path | None:
    """On a cluster of its own; the folder with what is to be looked at, if anything went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="petl-rehearsal-"))
    folder.chmod(0o755)  # munged trusts no socket that is hidden from others
    keep = False  # as long as there is nothing to look at
    try:
        with DevCluster(folder / "cluster") as cluster, _seen(cluster):
            try:
                keep = not rehearse(cluster, folder, seeds, places, say)
            except Exception:
                keep = True
                raise
            finally:
                if keep:
                    shutil.copytree(cluster.layout.logs, folder / "log")
    finally:
        if not keep:
            shutil.rmtree(folder)
    return folder if keep else None


@contextmanager
def _seen(cluster: DevCluster) -> Iterator[None]:
    """By this process and what it starts."""
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(cluster.layout.slurm_conf)
    try:
        yield
    finally:
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before


def rehearse(
    cluster: DevCluster, folder: Path, seeds: Sequence[int], places: Places, say: Say
) -> bool:
    """Whether everything went well. A seed draws the troubles, and the numbers of its runs too."""
    here = Stage(folder / "here", seeds, places)
    runs = several(len(here.study.tasks), "run")
    say(f"{runs} on this machine")
    here.run_here(cpus())
    say(f"\n{runs} through Slurm")
    calm = Stage(folder / "calm", seeds, places)
    well = _act(calm, here, cluster, Random(0), calm=True, say=say)
    for seed in seeds:
        say(f"\nseed {seed}: {several(len(here.study.tasks) // len(seeds), 'run')} with troubles")
        stage = Stage(folder / f"seed-{seed}", [seed], places)
        well &= _act(stage, here, cluster, Random(seed), calm=False, say=say)
    return well


def _act(
    stage: Stage, here: Stage, cluster: DevCluster, rng: Random, *, calm: bool, say: Say
) -> bool:
    seen = play(stage, cluster, rng, [] if calm else troubles(rng), say)
    if not calm:
        say("  what they went through")
        for line in stories(stage.plan().items, seen):
            say(f"    {line}")
    wrong = [f"  WRONG: {complaint}" for complaint in complaints(stage, here, seen, cluster)]
    for line in wrong or _praise(stage, seen):
        say(line)
    return not wrong


def _praise(stage: Stage, seen: Play) -> Iterator[str]:
    arrays = len({item.place.array for item in stage.plan().items})
    yield (
        f"  all {len(stage.study.tasks)} done, each once, with the numbers and weights of this "
        f"machine; nothing queued, nothing left over"
    )
    yield (
        f"  took {duration(seen.seconds)}; submitted {several(seen.submitted, 'time')}, "
        f"at last in {several(arrays, 'array')}, never more than {seen.most_running} at a time"
    )


def stories(items: Sequence[Item], seen: Play) -> Iterator[str]:
    for item in items:
        hits = [event.what for event in seen.events if item.task.run_id in event.runs]
        result = item.run.result()
        tries = result["timing"]["tries"] if result else 0
        ways = [f"submitted {len(item.tries)} times"] if len(item.tries) > 1 else []
        ways += [f"{tries} tries"] if tries > 1 else []
        told = "; ".join([", ".join(hits), *ways]) if hits or ways else "nothing"
        yield f"{label(item.task):25} {told}"
