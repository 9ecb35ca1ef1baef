"""One transformer encoder, and for each family its embeddings and the names of its weights."""
