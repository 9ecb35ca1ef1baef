"""`python -m slurm.node.job PICKLE`: what a job script starts, on a node or in its container.

In the place of submitit's own `_submit`, which writes two files for each task and answers signals
with a requeue from inside the container, where there is no scontrol.
"""

from __future__ import annotations

from slurm.node.stop import Stop

STOP = Stop().listen()  # before anything that takes its time to import


def main() -> None:
    import sys

    from submitit.core.utils import DelayedSubmission

    call = DelayedSubmission.load(sys.argv[1])
    sys.exit(call.function(*call.args, stop=STOP))


if __name__ == "__main__":
    main()
