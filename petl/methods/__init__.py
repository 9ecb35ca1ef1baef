"""What trains: one file for each family of methods."""
