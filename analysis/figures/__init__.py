"""Pictures of a study's runs."""
