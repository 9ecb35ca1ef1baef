"""What is known about a study's runs: plans, states, and how they are shown."""
