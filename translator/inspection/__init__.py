"""Inspection of a model: attention maps, embeddings, and a trace of one translation.

Training and translation do not use this package. Attention weights are recomputed from the inputs of the layers.
"""
