"""Training text: sources, cleaning, the cache of text and token ids, objectives, and batches."""
