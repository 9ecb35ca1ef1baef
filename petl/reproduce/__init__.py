"""Training a run again and comparing it, the environment, and bundles for reviewers."""
