"""What a model learns without labels, one module for each objective."""
