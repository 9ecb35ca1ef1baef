"""The launcher: a study becomes jobs, and jobs run directories. Never imports torch nor pandas."""
