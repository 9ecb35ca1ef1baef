"""What is known about a study's jobs: plans, verdicts, and how they are shown."""
