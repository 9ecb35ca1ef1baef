"""The rehearsal: short runs on a real Slurm, disturbed in every way that clusters disturb jobs.

The same runs are done three times: on this machine, through Slurm undisturbed, and through Slurm
while jobs are signalled, preempted, cancelled and killed, and nodes and daemons fail. All three
must end with the same numbers. `make rehearse` runs it.
"""
