"""Where the Python of a job starts. Each function is called with a manifest's path and a number.

Signals are listened to before anything else: importing torch takes seconds, and a signal without a
handler would kill the process.
"""

from __future__ import annotations

from pathlib import Path

from slurm.node.stop import Stop

STOP = Stop().listen()


def array_job(manifest: str, chunk: str) -> int:
    """A job of an array; which one, Slurm says."""
    from slurm.node import runs

    return runs.array_job(Path(manifest), int(chunk), STOP)


def packed_run(manifest: str, index: str) -> int:
    """One of several runs in the same job, in a process of its own."""
    from slurm.node import runs
    from slurm.submission import Submission

    return runs.run_one(Submission.read(Path(manifest).parent), int(index), STOP)


def local_run(manifest: str, index: str) -> int:
    """A run on this machine."""
    import signal

    from slurm.node import runs

    # Ctrl-C reaches every process of the terminal: the one that started this one decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return runs.local_run(Path(manifest), int(index), STOP)
