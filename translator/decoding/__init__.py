"""Greedy search, beam search and sampling over a `Decodable`. Tensors only: text is handled by `inference`."""
