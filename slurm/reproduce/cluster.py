"""Train runs again in jobs: a submission like any other, in the runs folder for that."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from petl.config.options import Options
from petl.errors import UserError, reason
from petl.files import read_regular
from petl.places import Places
from petl.runs.code.archive import CodeArchive, Frozen, build
from slurm.reproduce.again import Original, groups
from slurm.submit.policy import choose
from slurm.submit.profile import load_profile
from slurm.submit.sbatch import Cluster
from slurm.submit.script import refuse_folders
from slurm.submit.to_cluster import submit_to


def submit_again(originals: Sequence[Original], places: Places, name: str, yes: bool) -> None:
    """What has been trained already, or is in the queue, is not submitted."""
    profile = load_profile(name)
    refuse_folders(places)
    for study, frozen, threads in groups(originals):
        code = build() if frozen is None else _in_memory(frozen)
        cluster = Cluster(name, profile, places, Options(threads=threads), code)
        submit_to(cluster, study, partial(choose, profile=profile), yes=yes)


def _in_memory(frozen: Frozen) -> CodeArchive:
    """Jobs compare its bytes with its hash before they import it."""
    try:
        return CodeArchive(read_regular(frozen.path), frozen.code, b"")
    except OSError as error:
        raise UserError(f"{frozen.path}: {reason(error)}") from None
