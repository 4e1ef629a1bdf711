"""Every configuration type of the project: what can be said in a YAML file, with defaults and checks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number. Received: {str(value).lower()}.")
    return value


Number = BeforeValidator(_not_bool)  # Python would take true for 1
PositiveInt = Annotated[int, Number, Field(gt=0)]
NonNegativeInt = Annotated[int, Number, Field(ge=0)]
PositiveFloat = Annotated[float, Number, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Number, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Number, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A frozen part of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict, Section)) else value


class TextPair(Section):
    """Two aligned text files, plain or .gz: line n of one translates line n of the other."""

    source: str
    target: str


class Source(Section):
    """Where parallel text comes from: exactly one of `hub`, `file`, `text` and `phrasebook`.

    Attributes:
        hub: name of a Hugging Face data set, such as `Helsinki-NLP/opus-100`, or a local folder of the same form.
        subset: its configuration, such as `en-fr`.
        split: its split.
        revision: commit, tag or branch of the data set on the hub.
        streaming: read it as a stream instead of downloading it whole first; it is written to the cache either way.
        file: path or URL of a .parquet, .jsonl, .json, .csv or .tsv file (.gz allowed).
        header: whether the first line of a .csv or .tsv names the columns; without it they are called `0`, `1`, ….
        text: two aligned text files, as paths or URLs.
        phrasebook: a split of the embedded corpus: train, valid, test or compositional.
        source_column: column of the source text; by default the source language's code, alone or inside `translation`.
        target_column: likewise for the target text.
        where: read only rows whose column has one of these values, such as `{source: [tatoeba, news]}`.
        weight: how many times each of its pairs is seen in an epoch on average; 0.5 is every other epoch.
        max_examples: read only the first so many pairs.
    """

    hub: str | None = None
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    streaming: bool = False
    file: str | None = None
    header: bool = True
    text: TextPair | None = None
    phrasebook: Literal["train", "valid", "test", "compositional"] | None = None
    source_column: str | None = None
    target_column: str | None = None
    where: dict[str, Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]] = {}
    weight: PositiveFloat = 1.0
    max_examples: PositiveInt | None = None

    @model_validator(mode="before")
    @classmethod
    def _path_is_a_file(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_one_kind(self) -> Source:
        kinds = [kind for kind in ("hub", "file", "text", "phrasebook") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            received = " and ".join(kinds) or "none of them"
            raise ValueError(f"A source is exactly one of hub, file, text and phrasebook. Received: {received}.")
        only_hub = [key for key in ("subset", "split", "revision", "streaming") if key in self.model_fields_set]
        if only_hub and not self.hub:
            raise ValueError(f"{', '.join(only_hub)} belong(s) to a hub data set only. Received: {kinds[0]}.")
        if self.where and self.text:
            raise ValueError("where needs a source with named columns. Received: text, which has none.")
        return self

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


Sources = Annotated[tuple[Source, ...], BeforeValidator(_as_list)]
SomeSources = Annotated[Sources, Field(min_length=1)]


class CleaningConfig(Section):
    """Which pairs are dropped before training; each drop is counted and reported by its reason.

    Attributes:
        max_characters: longest side, in characters.
        max_length_ratio: longer side over shorter side, in characters; sides of under 20 characters are exempt.
        drop_identical: drop pairs whose two sides are the same text.
        drop_duplicates: keep only the first of equal pairs.
    """

    max_characters: PositiveInt = 2000
    max_length_ratio: Annotated[float, Field(gt=1)] = 4.0
    drop_identical: bool = True
    drop_duplicates: bool = True


class AugmentationConfig(Section):
    """How often the source text of a training pair is typed as carelessly as people type; its translation stays.

    Each is the share of pairs that it happens to, drawn anew in each epoch.

    Attributes:
        lowercase: no capitals; teaches what `decoding.fold_capitals` gives the model, too.
        accents: no accents and no cedillas: `ete` for `été`.
        final_punctuation: no full stop, question or exclamation mark at the end.
        apostrophes: left out, or typed as a space: `cest`, `c est`.
        typos: a letter doubled, left out, swapped with the next or mistaken for one beside it, in one word of eight.
    """

    lowercase: Probability = 0.0
    accents: Probability = 0.0
    final_punctuation: Probability = 0.0
    apostrophes: Probability = 0.0
    typos: Probability = 0.0


class DataConfig(Section):
    """Parallel text and what is done to it.

    Attributes:
        source_language: code of the language translated from; also the default name of its column.
        target_language: code of the language translated to.
        train: sources to learn from.
        valid: sources for validation during training.
        test: sources for the scores of the finished model.
        cleaning: what is dropped from `train`; `valid` and `test` are never cleaned.
        augmentation: careless typing in the source texts of `train`.
        cache: folder of downloaded and tokenized text; by default `~/.cache/translator`.
    """

    source_language: str
    target_language: str
    train: SomeSources
    valid: Sources = ()
    test: Sources = ()
    cleaning: CleaningConfig = CleaningConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    cache: str = "~/.cache/translator"


class TokenizerConfig(Section):
    """SentencePiece (Kudo and Richardson, 2018).

    Attributes:
        vocab_size: number of pieces; of each vocabulary where they are separate.
        model_type: unigram language model or byte-pair encoding.
        joint: one vocabulary for both languages.
        normalization: `standard` rewrites typography only (docs/tokenizer.md lists it); the others are SentencePiece's.
        character_coverage: share of the corpus's characters that get a piece of their own; bytes serve the rest.
        training_sentences: learn the pieces from at most so many sentences, drawn at random.
        sampling_alpha: subword sampling in training (Kudo, 2018): 0 is off; a smaller value is more varied.
    """

    vocab_size: PositiveInt = 8000
    model_type: Literal["unigram", "bpe"] = "unigram"
    joint: bool = True
    normalization: Literal["standard", "nmt_nfkc", "identity"] = "standard"
    character_coverage: Annotated[float, Field(gt=0.9, le=1)] = 0.9999
    training_sentences: PositiveInt = 2_000_000
    sampling_alpha: NonNegativeFloat = 0.0


class ModelConfig(Section):
    """The Transformer of Vaswani et al. (2017) and the variations in use today.

    Attributes:
        architecture: which stacks the model has.
        d_model: width of the hidden states.
        d_ff: inner width of the feed-forward network.
        encoder_layers: depth of the encoder.
        decoder_layers: depth of the decoder.
        encoder_heads: attention heads, as one number or one for each layer.
        decoder_heads: likewise for the decoder.
        norm: layer norm before (pre) or after (post) each sublayer's residual connection.
        final_norm: a last layer norm after each stack; by default with pre-norm only.
        positions: how the order of tokens enters.
        sinusoids: layout of sinusoidal positions: sine and cosine in turn (the paper) or in halves (Marian).
        max_positions: longest sequence, in tokens, that the model takes; longer input is split before translation.
        activation: of the feed-forward network.
        tied_embeddings: one matrix for source, target and output (all), for target and output (target), or none.
        dropout: after each sublayer and on embeddings.
        attention_dropout: on attention weights.
        activation_dropout: inside the feed-forward network.
        source_vectors: word2vec text file (.vec, plain or .gz) to start the source embedding from.
        target_vectors: likewise for the target embedding.
        attention: backend of attention; auto chooses by device.
    """

    architecture: Literal["encoder_decoder"] = "encoder_decoder"
    d_model: PositiveInt = 512
    d_ff: PositiveInt = 2048
    encoder_layers: PositiveInt = 6
    decoder_layers: PositiveInt = 6
    encoder_heads: PositiveInt | tuple[PositiveInt, ...] = 8
    decoder_heads: PositiveInt | tuple[PositiveInt, ...] = 8
    norm: Literal["pre", "post"] = "pre"
    final_norm: bool | None = None
    positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    sinusoids: Literal["interleaved", "halves"] = "interleaved"
    max_positions: Annotated[int, Field(ge=8)] = 512
    activation: Literal["relu", "gelu", "swiglu"] = "relu"
    tied_embeddings: Literal["all", "target", "none"] = "all"
    dropout: Probability = 0.1
    attention_dropout: Probability = 0.0
    activation_dropout: Probability = 0.0
    source_vectors: str | None = None
    target_vectors: str | None = None
    attention: Literal["auto", "triton", "sdpa", "reference"] = "auto"

    @model_validator(mode="after")
    def _heads_fit(self) -> ModelConfig:
        problems = []
        for stack, heads, depth in (
            ("encoder", self.encoder_heads, self.encoder_layers),
            ("decoder", self.decoder_heads, self.decoder_layers),
        ):
            if isinstance(heads, tuple) and len(heads) != depth:
                problems.append(
                    f"{stack}_heads must be one number or one per layer. "
                    f"Received: {len(heads)} numbers for {stack}_layers={depth}."
                )
            for number in sorted(set(heads if isinstance(heads, tuple) else (heads,))):
                if self.d_model % number:
                    problems.append(
                        f"d_model must be divisible by {stack}_heads. Received: d_model={self.d_model}, heads={number}."
                    )
                elif self.positions == "rotary" and (self.d_model // number) % 2:
                    problems.append(
                        f"rotary positions need an even head size. Received: d_model={self.d_model}, heads={number}."
                    )
        if self.positions == "sinusoidal" and self.d_model % 2:
            problems.append(f"sinusoidal positions need an even d_model. Received: {self.d_model}.")
        if self.tied_embeddings == "all" and self.source_vectors and self.target_vectors:
            problems.append("tied_embeddings: all has one matrix. Received: both source_vectors and target_vectors.")
        if problems:
            raise ValueError(" ".join(problems))
        return self


class TrainingConfig(Section):
    """The training loop.

    Attributes:
        objective: what is learned.
        max_steps: optimizer steps in all.
        batch_tokens: target tokens in a micro-batch, per rank.
        accumulation: micro-batches in an optimizer step, per rank.
        optimizer: AdamW, or Adam with weight decay in the gradient.
        learning_rate: highest rate, reached after warm-up.
        betas: decay rates of the optimizer's moments.
        epsilon: of the optimizer.
        weight_decay: of matrices; norms and biases never decay.
        schedule: how the rate falls after warm-up.
        warmup_steps: steps of linear warm-up.
        final_learning_rate: where the cosine and the warmup_stable_decay schedule end, at max_steps.
        decay_share: last share of max_steps, in which the warmup_stable_decay schedule falls.
        label_smoothing: share of the target spread over the vocabulary.
        clip_norm: largest gradient norm; 0 is no clipping.
        precision: of activations; master weights are float32.
        compile: compile the model with torch.compile.
        ema_decay: of the exponential moving average of weights, which is then what validates and decodes; 0 is off.
        validate_every: steps between validations.
        save_every: steps between checkpoints.
        keep_last: newest checkpoints kept.
        log_every: steps between log lines.
        metric: what decides which checkpoint is best.
        patience: stop after so many validations without a better one; 0 is never.
        valid_decode_examples: translate at most so many validation sentences (greedily) for BLEU and chrF; 0 is none.
        average_checkpoints: average the weights of the last so many checkpoints at the end; 0 is off.
        max_skipped_steps: stop after so many steps in a row with a loss or gradient that is not finite.
        data_workers: processes that tokenize ahead of training; 0 is in the training process.
    """

    objective: Literal["translation"] = "translation"
    max_steps: PositiveInt = 100_000
    batch_tokens: PositiveInt = 4096
    accumulation: PositiveInt = 1
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: PositiveFloat = 5e-4
    betas: tuple[Probability, Probability] = (0.9, 0.98)
    epsilon: PositiveFloat = 1e-9
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["inverse_sqrt", "cosine", "warmup_stable_decay"] = "inverse_sqrt"
    warmup_steps: NonNegativeInt = 4000
    final_learning_rate: NonNegativeFloat = 0.0
    decay_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    label_smoothing: Probability = 0.1
    clip_norm: NonNegativeFloat = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    ema_decay: Probability = 0.0
    validate_every: PositiveInt = 1000
    save_every: PositiveInt = 1000
    keep_last: PositiveInt = 3
    log_every: PositiveInt = 100
    metric: Literal["loss", "bleu", "chrf"] = "loss"
    patience: NonNegativeInt = 0
    valid_decode_examples: NonNegativeInt = 1000
    average_checkpoints: NonNegativeInt = 0
    max_skipped_steps: PositiveInt = 5
    data_workers: NonNegativeInt = 0

    @model_validator(mode="after")
    def _is_consistent(self) -> TrainingConfig:
        problems = []
        if self.metric in ("bleu", "chrf") and not self.valid_decode_examples:
            problems.append(
                f"metric: {self.metric} needs translations of the validation set. Received: valid_decode_examples=0."
            )
        if self.schedule == "cosine" and self.warmup_steps >= self.max_steps:
            problems.append(
                "a cosine schedule needs warmup_steps below max_steps. "
                f"Received: warmup_steps={self.warmup_steps}, max_steps={self.max_steps}."
            )
        if self.schedule == "warmup_stable_decay" and self.warmup_steps > (1 - self.decay_share) * self.max_steps:
            problems.append(
                "a warmup_stable_decay schedule needs warm-up and decay to fit in max_steps. "
                f"Received: warmup_steps={self.warmup_steps}, decay_share={self.decay_share}, "
                f"max_steps={self.max_steps}."
            )
        if self.average_checkpoints > self.keep_last:
            problems.append(
                "average_checkpoints cannot exceed keep_last. "
                f"Received: {self.average_checkpoints} and {self.keep_last}."
            )
        if problems:
            raise ValueError(" ".join(problems))
        return self


class DecodingConfig(Section):
    """How the model translates.

    Attributes:
        beam_size: hypotheses kept; 1 is greedy.
        length_penalty: alpha of Wu et al. (2016), equation 14.
        max_length_factor: longest output, in pieces per piece of input, plus 10.
        batch_tokens: source tokens translated together.
        fold_capitals: translate a text that is all in capitals as if it were typed in small letters.
    """

    beam_size: PositiveInt = 5
    length_penalty: NonNegativeFloat = 0.6
    max_length_factor: PositiveFloat = 2.0
    batch_tokens: PositiveInt = 4096
    fold_capitals: bool = False


class Config(Section):
    """One run: what it learns from, what it is and where it is kept.

    Attributes:
        output: the model directory.
        seed: of every random draw.
    """

    output: str
    seed: NonNegativeInt = 1
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()

    @model_validator(mode="after")
    def _sections_agree(self) -> Config:
        if self.model.tied_embeddings == "all" and not self.tokenizer.joint:
            raise ValueError(
                "model.tied_embeddings: all needs one vocabulary. "
                "Received: tokenizer.joint=false. Set tied_embeddings to target or none."
            )
        if not self.data.valid and (self.training.metric != "loss" or self.training.patience):
            raise ValueError("training.metric and training.patience need data.valid. Received: no validation data.")
        return self
