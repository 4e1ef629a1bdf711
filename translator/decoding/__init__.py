"""Search over a `Decodable`: greedy, sampling and beam search on tensors, with no knowledge of text."""
