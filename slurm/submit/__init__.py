"""Submitting: profiles, job scripts, arrays; and runs on this machine."""
