"""petl-ast: parameter-efficient transfer learning of the Audio Spectrogram Transformer, as SLURM jobs."""

__version__ = "0.1.0"
