"""The training of a generator on a fold's training clips: its steps, its looks, its result."""
