"""One transformer encoder; each family adds its embeddings and the names of its weights."""
