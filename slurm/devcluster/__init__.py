"""A real Slurm on one machine, in one folder, to try things and for tests; docs/devcluster.md."""

from slurm.devcluster.cluster import ClusterError, DevCluster
from slurm.devcluster.layout import DEFAULT_FOLDER, Layout

__all__ = ["DEFAULT_FOLDER", "ClusterError", "DevCluster", "Layout"]
