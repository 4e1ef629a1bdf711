"""The `decoding` section: every option that is the same for all texts of a call."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict, get_args

from pydantic import Field, model_validator

from translator.config.section import (
    NonNegativeFloat,
    NonNegativeInt,
    Number,
    PositiveFloat,
    PositiveInt,
    Probability,
    Section,
)

Precision = Literal["float32", "bfloat16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

BeamWidth = Annotated[PositiveInt, Field(le=1024)]  # memory grows with the beam; quality stops growing far earlier


class DecodingOptions(Section):
    """Options of a search.

    The YAML section, the keyword arguments of `Translator.translate` and `Generator.generate`, and the command-line
    flags are made from these fields.

    Attributes:
        beam_size: number of hypotheses kept; 1 is greedy search
        num_beam_groups: groups of the beam in diverse beam search (Vijayakumar et al., 2016), a divisor of beam_size; 1
            is ordinary beam search
        diversity_penalty: subtracted from the log-probability of a token, in the choice of one group, for each time
            that an earlier group chose it in the same step
        length_penalty: exponent of the length penalty (Wu et al., 2016, equation 14); 0 disables it
        coverage_penalty: factor of the coverage penalty (Wu et al., 2016, section 7), which lowers the score of
            translations whose cross-attention leaves out source tokens; chooses among the hypotheses of the beam,
            without effect on greedy search and samples; 0 disables it
        max_length_factor: maximum output length in tokens per source token, plus 10
        min_length: minimum output length in tokens before EOS
        no_repeat_ngram: length of n-grams that may not be repeated, unless the source repeats as often; a shorter cycle
            may not come four times in a row; 0 disables it
        repetition_penalty: factor on the log-probability of tokens that the output already has (Keskar et al., 2019);
            counts in the score and in the choice of tokens, not in their reported log-probabilities; 1 disables it
        batch_tokens: source tokens decoded together; results do not depend on it
        num_hypotheses: maximum number of results per text; at most beam_size, unless sampling
        mbr_candidates: choose the results by minimum Bayes risk among this many samples, or results of the beam; they
            are those of highest mean chrF against all candidates; 0 disables it
        sample: sample tokens instead of searching; by default, only language models do
        temperature: sampling temperature; below 1 sharpens the distribution, 0 is greedy search
        top_k: sample from the K most probable tokens; 0 is all
        top_p: sample from the smallest set of tokens with total probability >= P (Holtzman et al., 2020)
        min_p: sample from the tokens with probability >= P times that of the most probable one (Nguyen et al., 2024)
        epsilon_cutoff: sample from the tokens with probability >= E (Hewitt et al., 2022); the most probable one stays
        seed: random seed of sampling; a sample depends on it, the source and the number of the sample alone
        term_bias: added to the log-probability of each token of a soft term of --terms, in the choice of tokens and in
            the score; 0 disables soft terms
        protect: keep placeholders ({name}, %s, ${x}, {{ x }}), URLs, e-mail addresses and telephone numbers as they
            are; the model reads a mask in place of each
        alignment: link the words of each translation to those of its text, by cross-attention
        fold_capitals: translate sentences in capitals as if they were in ordinary case
        split_sentences: translate the sentences of a text one by one, as a model trained on single sentences needs;
            otherwise only text that is longer than the model takes is split
        guard: check each translation for failures (loops, copied source, nothing or far too much or little text, lost
            numbers, names, URLs and placeholders) and decode failed ones again in other ways; without effect on samples
    """

    beam_size: BeamWidth = 5
    num_beam_groups: BeamWidth = 1
    diversity_penalty: NonNegativeFloat = 0.5
    length_penalty: Annotated[NonNegativeFloat, Field(le=10)] = 0.6
    coverage_penalty: Annotated[NonNegativeFloat, Field(le=10)] = 0.0
    max_length_factor: PositiveFloat = 2.0
    min_length: NonNegativeInt = 0
    no_repeat_ngram: NonNegativeInt = 0
    repetition_penalty: Annotated[float, Number, Field(ge=1, le=100)] = 1.0
    batch_tokens: PositiveInt = 4096
    num_hypotheses: BeamWidth = 1
    mbr_candidates: Annotated[NonNegativeInt, Field(le=1024)] = 0
    sample: bool | None = None
    temperature: NonNegativeFloat = 1.0
    top_k: NonNegativeInt = 0
    top_p: Annotated[float, Number, Field(gt=0, le=1)] = 1.0
    min_p: Annotated[float, Number, Field(ge=0, le=1)] = 0.0
    epsilon_cutoff: Probability = 0.0
    seed: Annotated[int, Number] = 1
    term_bias: Annotated[float, Number, Field(ge=0, le=100)] = 2.0
    protect: bool = True
    alignment: bool = False
    fold_capitals: bool = False
    split_sentences: bool = False
    guard: bool = True

    @property
    def is_random(self) -> bool:
        """True if tokens are sampled; at temperature 0 the most probable token is taken."""
        return bool(self.sample) and self.temperature > 0

    @model_validator(mode="after")
    def _has_enough_hypotheses(self) -> DecodingOptions:
        if self.sample and not self.temperature and self.num_hypotheses > 1:
            raise ValueError(
                "temperature: 0 is greedy search and gives one result per text. "
                f"Received: num_hypotheses={self.num_hypotheses}. Use a beam, or a higher temperature."
            )
        if not self.sample and self.num_hypotheses > self.beam_size:
            raise ValueError(
                "num_hypotheses must be at most beam_size, unless sample: true. "
                f"Received: num_hypotheses={self.num_hypotheses}, beam_size={self.beam_size}. Raise beam_size."
            )
        return self

    @model_validator(mode="after")
    def _has_enough_candidates(self) -> DecodingOptions:
        if self.mbr_candidates and not self.num_hypotheses <= self.mbr_candidates:
            raise ValueError(
                "num_hypotheses must be at most mbr_candidates. Received: "
                f"num_hypotheses={self.num_hypotheses}, mbr_candidates={self.mbr_candidates}. Raise mbr_candidates."
            )
        if self.mbr_candidates > self.beam_size and not self.sample:
            raise ValueError(
                "mbr_candidates must be at most beam_size, unless sample: true. "
                f"Received: mbr_candidates={self.mbr_candidates}, beam_size={self.beam_size}. Raise beam_size."
            )
        if self.mbr_candidates and self.sample and not self.temperature:
            raise ValueError("mbr_candidates requires a temperature above 0 for sampling. Received: temperature=0.")
        return self

    @model_validator(mode="after")
    def _has_equal_groups(self) -> DecodingOptions:
        if not self.sample and self.beam_size % self.num_beam_groups:
            raise ValueError(
                "beam_size must be divisible by num_beam_groups. "
                f"Received: beam_size={self.beam_size}, num_beam_groups={self.num_beam_groups}. Change one of them."
            )
        return self


class DecodingConfig(DecodingOptions):
    """The `decoding` section of a configuration: options of a search, and what is chosen when a model is loaded.

    Attributes:
        precision: data type of weights and matrix products where the model is loaded to decode: `float32`; `bfloat16`;
            or `int8`, on CPUs only. Training and its validation do not read it.
    """

    precision: Precision = "float32"


SAMPLING_FIELDS = ("temperature", "top_k", "top_p", "min_p", "epsilon_cutoff", "seed")
TRANSLATION_FIELDS = (
    "coverage_penalty",
    "max_length_factor",
    "mbr_candidates",
    "term_bias",
    "protect",
    "alignment",
    "fold_capitals",
    "split_sentences",
    "guard",
)  # without effect on a language model


class DecodingChanges(TypedDict, total=False):
    """Keyword arguments that change `DecodingOptions` for one call; None keeps the option as configured."""

    beam_size: int | None
    num_beam_groups: int | None
    diversity_penalty: float | None
    length_penalty: float | None
    coverage_penalty: float | None
    max_length_factor: float | None
    min_length: int | None
    no_repeat_ngram: int | None
    repetition_penalty: float | None
    batch_tokens: int | None
    num_hypotheses: int | None
    mbr_candidates: int | None
    sample: bool | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    epsilon_cutoff: float | None
    seed: int | None
    term_bias: float | None
    protect: bool | None
    alignment: bool | None
    fold_capitals: bool | None
    split_sentences: bool | None
    guard: bool | None
