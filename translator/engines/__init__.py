"""Engines: token ids in, candidates out. An engine owns the model, the device and its threads."""
