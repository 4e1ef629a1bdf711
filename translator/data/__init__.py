"""Parallel text: where it comes from, how it is cleaned and cached, how batches are made of it."""
