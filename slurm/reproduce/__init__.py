"""Runs trained again, here or on a cluster, and compared with what they were."""
