"""Exit codes by which a job's Python tells its script what to do about the job."""

from __future__ import annotations

INTERRUPTED = 75
"""Its checkpoint is written, and it should resume later: requeue."""
FAULTS = {71: "disk-full", 72: "read-only", 73: "file-system"}
"""A fault of a disk, by its class in petl.errors, which could not write more about it."""
HOLD = 76
"""It failed as several before it did: the rest of the array should wait for a person."""
