"""Looking inside a model: where it attends, what its vectors are, and every number of one translation.

Nothing here is on the way of training or translating: weights are computed again from what the layers were given.
"""
