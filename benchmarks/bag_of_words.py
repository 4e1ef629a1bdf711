"""Accuracy of classifiers that ignore word order, as baselines for a classifier of this project.

    python benchmarks/bag_of_words.py configs/sentiment.yaml

Fits the most frequent label, and scikit-learn's logistic regression on which words a text holds, to `data.train` of a
configuration. The inverse penalty of the regression is the one of `PENALTIES` with the best accuracy on `data.valid`.
Prints the accuracy on `data.test`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

PENALTIES = (0.01, 0.1, 1.0, 10.0)  # inverse strength, as scikit-learn's C


def most_frequent(labels: Sequence[str]) -> Any:
    """Return a fitted classifier that always predicts the most frequent label."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent").fit([""] * len(labels), labels)


def bag_of_words(
    texts: Sequence[str], labels: Sequence[str], valid_texts: Sequence[str], valid_labels: Sequence[str]
) -> Any:
    """Return a fitted logistic regression on the set of lowercased words of a text."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    fitted = [
        make_pipeline(
            CountVectorizer(binary=True, token_pattern=r"\w+"), LogisticRegression(C=penalty, max_iter=1000)
        ).fit(texts, labels)
        for penalty in PENALTIES
    ]
    return max(fitted, key=lambda model: model.score(valid_texts, valid_labels))


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="configuration of a classifier")
    arguments = parser.parse_args()

    from translator.config import load_config
    from translator.data.corpus import read_rows

    config = load_config(arguments.config)
    parts = [
        list(zip(*read_rows(sources, config.data, "labelled"), strict=True))
        for sources in (config.data.train, config.data.valid, config.data.test)
    ]
    (texts, labels), valid, test = parts
    for name, model in (
        ("most frequent label", most_frequent(labels)),
        ("bag of words", bag_of_words(texts, labels, *valid)),
    ):
        print(f"{name:<20} {100 * model.score(*test):6.2f} %")


if __name__ == "__main__":
    main()
