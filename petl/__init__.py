"""petl-ast: parameter-efficient transfer learning of audio transformers, as SLURM jobs."""

__version__ = "0.1.0"
