"""The code that a run is made with: frozen when it is submitted, checked when a job starts.

runs/.code/
  3f2a91c0d4e5b6a7.zip     petl, slurm and the presets; named after its SHA-256, never changed
  3f2a91c0d4e5b6a7.diff    how it differs from its commit, if it does
"""
