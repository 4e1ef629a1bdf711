"""Evaluation: metrics of translations, accuracy of labels, perplexity, and breakdowns by a column of the test set."""

from translator.evaluation.metrics import EvaluationError, evaluate, exact_match

__all__ = ["EvaluationError", "evaluate", "exact_match"]
