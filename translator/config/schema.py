"""Every configuration type of the project: what can be said in a YAML file, with defaults and checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from translator.config.data import AugmentationConfig, DataConfig, Form
from translator.config.section import (
    NonNegativeFloat,
    NonNegativeInt,
    OneOrSeveral,
    PositiveFloat,
    PositiveInt,
    Probability,
    Section,
)

Architecture = Literal["encoder_decoder", "encoder_only", "decoder_only"]
Objective = Literal["translation", "denoising", "language_modeling", "masked_language_modeling", "classification"]

# What each objective can be learned by, and from.
ARCHITECTURES: dict[Objective, tuple[Architecture, ...]] = {
    "translation": ("encoder_decoder", "decoder_only"),
    "denoising": ("encoder_decoder",),
    "language_modeling": ("decoder_only",),
    "masked_language_modeling": ("encoder_only",),
    "classification": ("encoder_only",),
}
FORMS: dict[Objective, Form] = {
    "translation": "pairs",
    "denoising": "texts",
    "language_modeling": "texts",
    "masked_language_modeling": "texts",
    "classification": "labelled",
}


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
        sentinels: pieces that no text holds, for pre-training: each stands for something hidden, and the first is the
            mask (Raffel et al., 2020).
    """

    vocab_size: PositiveInt = 8000
    model_type: Literal["unigram", "bpe"] = "unigram"
    joint: bool = True
    normalization: Literal["standard", "nmt_nfkc", "identity"] = "standard"
    character_coverage: Annotated[float, Field(gt=0.9, le=1)] = 0.9999
    training_sentences: PositiveInt = 2_000_000
    sampling_alpha: NonNegativeFloat = 0.0
    sentinels: NonNegativeInt = 0


class ModelConfig(Section):
    """The Transformer of Vaswani et al. (2017) and the variations in use today.

    Attributes:
        architecture: which stacks the model has; an encoder or decoder alone has no layers of the other's.
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
            A decoder alone has source and target in one sequence.
        activation: of the feed-forward network.
        tied_embeddings: one matrix for source, target and output (all), for target and output (target), or none.
        dropout: after each sublayer and on embeddings.
        attention_dropout: on attention weights.
        activation_dropout: inside the feed-forward network.
        source_vectors: word2vec text file (.vec, plain or .gz) to start the source embedding from.
        target_vectors: likewise for the target embedding.
        attention: backend of attention; auto chooses by device.
    """

    architecture: Architecture = "encoder_decoder"
    d_model: PositiveInt = 512
    d_ff: PositiveInt = 2048
    encoder_layers: PositiveInt = 6
    decoder_layers: PositiveInt = 6
    encoder_heads: OneOrSeveral = 8
    decoder_heads: OneOrSeveral = 8
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


class CorruptionConfig(Section):
    """What a pre-training objective hides, drawn anew for each example in each epoch.

    Attributes:
        share: of the pieces that are hidden.
        method: of denoising: `spans` puts a sentinel for each run of hidden pieces and asks for the runs (T5); `tokens`
            puts the mask for each hidden piece and asks for the whole text (BART).
        span_length: mean length of a hidden run, in pieces.
        permute_sentences: shuffle the sentences of a text as well; with `tokens`, which asks for the whole text.
    """

    share: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    method: Literal["spans", "tokens"] = "spans"
    span_length: Annotated[float, Field(ge=1)] = 3.0
    permute_sentences: bool = False

    @model_validator(mode="after")
    def _whole_text_is_asked_for(self) -> CorruptionConfig:
        if self.permute_sentences and self.method == "spans":
            raise ValueError("permute_sentences needs method: tokens, which asks for the whole text. Received: spans.")
        return self


class TrainingConfig(Section):
    """The training loop.

    Attributes:
        objective: what is learned.
        start_from: a trained model (run directory, checkpoint or bundle) whose weights and tokenizer the run begins
            with; its architecture and sizes must be the same. A classifier's last layer is always fresh.
        corruption: what is hidden in pre-training.
        max_steps: optimizer steps in all.
        batch_tokens: target tokens in a micro-batch, per rank; for an encoder alone, the tokens that it reads.
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
        cuda_graphs: launch what was compiled as CUDA graphs, which pays where the host is slower than the GPU; changes
            nothing on the CPU.
        ema_decay: of the exponential moving average of weights, which is then what validates and decodes; 0 is off.
        validate_every: steps between validations.
        save_every: steps between checkpoints.
        keep_last: newest checkpoints kept.
        log_every: steps between log lines.
        metric: what decides which checkpoint is best: the loss, BLEU or chrF of translations, accuracy of a classifier.
        patience: stop after so many validations without a better one; 0 is never.
        valid_decode_examples: translate (greedily) or classify at most so many validation examples; 0 is none.
        average_checkpoints: average the weights of the last so many checkpoints at the end; 0 is off.
        max_skipped_steps: stop after so many steps in a row with a loss or gradient that is not finite.
        data_workers: processes that tokenize ahead of training; 0 is in the training process.
    """

    objective: Objective = "translation"
    start_from: str | None = None
    corruption: CorruptionConfig = CorruptionConfig()
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
    cuda_graphs: bool = False
    ema_decay: Probability = 0.0
    validate_every: PositiveInt = 1000
    save_every: PositiveInt = 1000
    keep_last: PositiveInt = 3
    log_every: PositiveInt = 100
    metric: Literal["loss", "bleu", "chrf", "accuracy"] = "loss"
    patience: NonNegativeInt = 0
    valid_decode_examples: NonNegativeInt = 1000
    average_checkpoints: NonNegativeInt = 0
    max_skipped_steps: PositiveInt = 5
    data_workers: NonNegativeInt = 0

    @model_validator(mode="after")
    def _is_consistent(self) -> TrainingConfig:
        problems = self._metric_problems()
        if self.objective not in ("denoising", "masked_language_modeling") and self.corruption != CorruptionConfig():
            problems.append(f"corruption belongs to pre-training. Received: objective: {self.objective}.")
        only_share = CorruptionConfig(share=self.corruption.share)
        if self.objective == "masked_language_modeling" and self.corruption != only_share:
            problems.append("masked_language_modeling has corruption.share alone. Received: other keys of corruption.")
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
        if self.cuda_graphs and not self.compile:
            problems.append("cuda_graphs launches what is compiled, and needs compile: true. Received: compile: false.")
        if self.average_checkpoints > self.keep_last:
            problems.append(
                "average_checkpoints cannot exceed keep_last. "
                f"Received: {self.average_checkpoints} and {self.keep_last}."
            )
        if problems:
            raise ValueError(" ".join(problems))
        return self

    def _metric_problems(self) -> list[str]:
        """Whether what decides can be measured."""
        kinds = {"bleu": "translation", "chrf": "translation", "accuracy": "classification"}
        if self.metric == "loss":
            return []
        if self.objective != kinds[self.metric]:
            return [f"metric: {self.metric} is for {kinds[self.metric]}. Received: objective: {self.objective}."]
        if not self.valid_decode_examples:
            what = "translations" if self.objective == "translation" else "labels"
            return [f"metric: {self.metric} needs {what} of the validation set. Received: valid_decode_examples=0."]
        return []


class DecodingConfig(Section):
    """How the model translates.

    Attributes:
        beam_size: hypotheses kept; 1 is greedy.
        length_penalty: alpha of Wu et al. (2016), equation 14.
        max_length_factor: longest output, in pieces per piece of input, plus 10.
        no_repeat_ngram: no run of so many pieces comes twice and no shorter one four times in a row, unless the source
            repeats itself as often; 0 forbids nothing.
        batch_tokens: source tokens translated together.
        fold_capitals: translate sentences in capitals as if they were in ordinary case.
        split_sentences: translate the sentences of a text one by one, as a model needs that learned from single ones;
            otherwise only a text that is longer than the model takes is split.
    """

    beam_size: Annotated[PositiveInt, Field(le=1024)] = 5  # the widest and steepest that beam search takes
    length_penalty: Annotated[NonNegativeFloat, Field(le=10)] = 0.6
    max_length_factor: PositiveFloat = 2.0
    no_repeat_ngram: NonNegativeInt = 0
    batch_tokens: PositiveInt = 4096
    fold_capitals: bool = False
    split_sentences: bool = False


class Config(Section):
    """One run: what it learns from, what it is and where it is kept.

    Attributes:
        output: the model directory.
        seed: of every random draw.
    """

    output: str
    seed: Annotated[NonNegativeInt, Field(lt=2**32)] = 1  # torch takes no more than 64 bits, others no more than 32
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()

    @property
    def form(self) -> Form:
        """What a row of the data is."""
        return FORMS[self.training.objective]

    @model_validator(mode="after")
    def _sections_agree(self) -> Config:
        problems = [*self._model_problems(), *self._data_problems()]
        if problems:
            raise ValueError(" ".join(problems))
        return self

    def _model_problems(self) -> list[str]:
        """Whether the model can learn the objective."""
        model, objective, joint = self.model, self.training.objective, self.tokenizer.joint
        problems = []
        if model.architecture not in ARCHITECTURES[objective]:
            problems.append(
                f"training.objective: {objective} needs model.architecture: {' or '.join(ARCHITECTURES[objective])}. "
                f"Received: {model.architecture}."
            )
        if not joint and (model.architecture != "encoder_decoder" or self.form != "pairs"):
            problems.append(
                f"model.architecture: {model.architecture} with training.objective: {objective} has one vocabulary. "
                "Received: tokenizer.joint=false."
            )
        elif not joint and model.tied_embeddings == "all":
            problems.append(
                "model.tied_embeddings: all needs one vocabulary. "
                "Received: tokenizer.joint=false. Set tied_embeddings to target or none."
            )
        if objective in ("denoising", "masked_language_modeling") and not self.tokenizer.sentinels:
            problems.append(
                f"training.objective: {objective} hides pieces behind sentinels. Received: tokenizer.sentinels=0. "
                f"Set it to {32 if objective == 'denoising' else 1}, say."
            )
        if (model.source_vectors or model.target_vectors) and model.architecture != "encoder_decoder":
            problems.append(
                f"source_vectors and target_vectors are for an encoder_decoder. Received: {model.architecture}."
            )
        return problems

    def _data_problems(self) -> list[str]:
        """Whether the data has what the objective reads."""
        data, objective, form = self.data, self.training.objective, self.form
        problems = []
        for key in ("source_language", "target_language"):
            if form == "pairs" and getattr(data, key) is None:
                problems.append(f"data.{key}: required for translation, and missing.")
        if form == "labelled" and len(set(data.labels)) < max(2, len(data.labels)):
            problems.append(f"classification needs two data.labels or more, all different. Received: {data.labels}.")
        if form != "labelled" and data.labels:
            problems.append(f"data.labels are for classification. Received: training.objective: {objective}.")
        if form == "texts" and data.augmentation != AugmentationConfig():
            problems.append(
                f"data.augmentation is for translation and classification. Received: training.objective: {objective}."
            )
        for part in ("train", "valid", "test"):
            for number, source in enumerate(getattr(data, part)):
                problems += [f"data.{part}.{number}: {problem}" for problem in source.problems(form)]
        if not data.valid and (self.training.metric != "loss" or self.training.patience):
            problems.append("training.metric and training.patience need data.valid. Received: no validation data.")
        return problems
