"""The launcher among all that happens to jobs on a cluster: `petl devcluster rehearse`.

The same runs three times: on this machine, through Slurm undisturbed, and through Slurm while jobs
are signalled, preempted, cancelled and killed, and the cluster falls apart around them. All three
have to end with the same numbers.
"""
