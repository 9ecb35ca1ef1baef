"""What is asked of the scheduler: profiles, job scripts, arrays; and local runs."""
