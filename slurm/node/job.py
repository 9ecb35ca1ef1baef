"""Where the Python of a job starts. Each function is called with a manifest, a number, and where
data and cache are.

Signals are listened to before anything else: importing torch takes seconds, and a signal without a
handler would kill the process.
"""

from __future__ import annotations

from pathlib import Path

from petl.places import Places
from slurm.node.stop import Stop

STOP = Stop().listen()


def array_job(manifest: str, chunk: str, data: str, cache: str) -> int:
    """A job of an array; which one, Slurm says."""
    from slurm.node import runs

    return runs.array_job(Path(manifest), int(chunk), _places(manifest, data, cache), STOP)


def packed_run(manifest: str, index: str, data: str, cache: str) -> int:
    """One of several runs in the same job, in a process of its own."""
    from slurm.node import runs
    from slurm.submission import Submission

    submission = Submission.read(Path(manifest).parent)
    return runs.run_one(submission, int(index), _places(manifest, data, cache), STOP)


def local_run(manifest: str, index: str, data: str, cache: str) -> int:
    """A run on this machine."""
    import signal

    from slurm.node import runs

    # Ctrl-C reaches every process of the terminal: the one that started this one decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return runs.local_run(Path(manifest), int(index), _places(manifest, data, cache), STOP)


def _places(manifest: str, data: str, cache: str) -> Places:
    """The manifest is runs/<study>/slurm/<token>/manifest.jsonl; on this machine with `jobs`."""
    return Places(Path(manifest).absolute().parents[3], Path(data), Path(cache))
