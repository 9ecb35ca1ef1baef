"""`petl doctor`: what would break a study, found before it is submitted.

A check is a function from a Patient to findings. login.py has those about Slurm and the profile,
folders.py and software.py those about this machine; add one to the tuple at its file's end.
probe.py runs inside a job, errand.py sends it there, compare.py judges what it brought back.
"""
