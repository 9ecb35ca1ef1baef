"""`petl doctor`: check what a study needs before it is submitted.

A check is a function from a Context to findings: slurm_checks.py has those about Slurm and the
profile, folders.py and software.py those about this machine. To add a check, add it to the tuple
at its file's end. probe.py runs inside a job, probe_job.py submits that job and talks with it,
compare.py judges the answer.
"""
