"""Every construction of the corpus, in a fixed order."""

from __future__ import annotations

from corpora.phrasebook.constructions import (
    compound,
    feelings,
    infinitives,
    measures,
    pronouns,
    questions,
    reported,
    situations,
    social,
    statements,
)
from corpora.phrasebook.constructions.base import Construction

CONSTRUCTIONS: tuple[Construction, ...] = (
    *statements.CONSTRUCTIONS,
    *questions.CONSTRUCTIONS,
    *pronouns.CONSTRUCTIONS,
    *infinitives.CONSTRUCTIONS,
    *compound.CONSTRUCTIONS,
    *feelings.CONSTRUCTIONS,
    *reported.CONSTRUCTIONS,
    *situations.CONSTRUCTIONS,
    *measures.CONSTRUCTIONS,
    *social.CONSTRUCTIONS,
)
