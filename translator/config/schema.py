"""The sections `tokenizer` and `training`, and the configuration as a whole."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from translator.config.data import AugmentationConfig, DataConfig, Form
from translator.config.decoding import DecodingConfig
from translator.config.model import Architecture, ModelConfig
from translator.config.section import (
    AutoOrPositiveInt,
    NonNegativeFloat,
    NonNegativeInt,
    Number,
    PositiveFloat,
    PositiveInt,
    Probability,
    Section,
    as_list,
)
from translator.errors import shorten

Reporting = Literal["tensorboard", "wandb", "mlflow"]
ObjectiveName = Literal["translation", "denoising", "language_modeling", "masked_language_modeling", "classification"]

# The architectures that can learn each objective, and the form of the data that it needs.
ARCHITECTURES: dict[ObjectiveName, tuple[Architecture, ...]] = {
    "translation": ("encoder_decoder", "decoder_only"),
    "denoising": ("encoder_decoder",),
    "language_modeling": ("decoder_only",),
    "masked_language_modeling": ("encoder_only",),
    "classification": ("encoder_only",),
}
FORMS: dict[ObjectiveName, Form] = {
    "translation": "pairs",
    "denoising": "texts",
    "language_modeling": "texts",
    "masked_language_modeling": "texts",
    "classification": "labelled",
}


class TokenizerConfig(Section):
    """SentencePiece (Kudo and Richardson, 2018).

    Attributes:
        vocab_size: number of pieces, for each vocabulary if they are separate.
        model_type: unigram language model or byte-pair encoding.
        joint: use one vocabulary for both languages.
        normalization: `standard` rewrites typography only (docs/tokenizer.md lists it); the others are SentencePiece's.
        character_coverage: fraction of the characters of the corpus that get a piece of their own; the others are
            encoded as bytes.
        training_sentences: maximum number of sentences that the tokenizer is trained on, sampled at random.
        sampling_alpha: subword sampling during training (Kudo, 2018); 0 disables it. For a unigram model a smaller
            value, for byte-pair encoding a larger one gives more variation.
        sentinels: number of sentinel tokens for pre-training (Raffel et al., 2020). They do not occur in text; the
            first is the mask.
    """

    vocab_size: Annotated[int, Number, Field(gt=0, le=10_000_000)] = 8000
    model_type: Literal["unigram", "bpe"] = "unigram"
    joint: bool = True
    normalization: Literal["standard", "nmt_nfkc", "identity"] = "standard"
    character_coverage: Annotated[float, Field(gt=0.9, le=1)] = 0.9999
    training_sentences: PositiveInt = 2_000_000
    sampling_alpha: NonNegativeFloat = 0.0
    sentinels: Annotated[int, Number, Field(ge=0, le=10_000)] = 0


class CorruptionConfig(Section):
    """Corruption of the input in pre-training, sampled for each example in each epoch.

    Attributes:
        share: fraction of the tokens that are corrupted.
        method: `spans` replaces each corrupted span by a sentinel, and the target is the spans (T5); `tokens` replaces
            each corrupted token by the mask, and the target is the whole text (BART). For denoising.
        span_length: mean length of a corrupted span in tokens.
        permute_sentences: also shuffle the sentences of a text; requires `method: tokens`.
    """

    share: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    method: Literal["spans", "tokens"] = "spans"
    span_length: Annotated[float, Field(ge=1)] = 3.0
    permute_sentences: bool = False

    @model_validator(mode="after")
    def _has_whole_text_as_target(self) -> CorruptionConfig:
        if self.permute_sentences and self.method == "spans":
            raise ValueError("permute_sentences requires method: tokens. Received: method: spans.")
        return self


class TrainingConfig(Section):
    """The training loop.

    Attributes:
        objective: training objective.
        start_from: trained model (run directory, checkpoint or bundle) whose weights and tokenizer the run starts from.
            Its architecture and sizes must be the same. Its `model.alignment_layer` and `model.alignment_head` are
            inherited if neither is given. The output layer of a classifier is always new.
        corruption: corruption of the input in pre-training.
        max_steps: number of optimizer steps.
        step_tokens: target tokens per optimizer step over all ranks and micro-batches, or input tokens for an
            encoder-only model. By default `batch_tokens` times `accumulation` times the number of ranks.
        batch_tokens: tokens per micro-batch and rank, of the side that `step_tokens` counts. With `step_tokens` it
            changes only how a step is split, and the result to rounding; `auto` is then the largest that fits.
        accumulation: micro-batches per optimizer step and rank; without `step_tokens`.
        optimizer: AdamW, Adam with weight decay in the gradient, or Muon for the matrices of the layers with AdamW for
            all other parameters; `learning_rate` and `weight_decay` serve both.
        learning_rate: peak learning rate, reached after warm-up.
        betas: decay rates of the moments of the optimizer.
        epsilon: epsilon of the optimizer.
        weight_decay: weight decay of matrices; norms and biases have none.
        schedule: learning rate schedule after warm-up.
        warmup_steps: steps of linear warm-up.
        final_learning_rate: learning rate at max_steps, for the schedules cosine and warmup_stable_decay.
        decay_share: fraction of max_steps, at the end, in which the warmup_stable_decay schedule decays.
        label_smoothing: fraction of the target probability that is spread over the vocabulary.
        guided_alignment_weight: weight of guided alignment (Chen et al., 2016; Garg et al., 2019), the cross-entropy of
            the weights of `model.alignment_head` against the word alignments of `data.train`; 0 disables it. It is
            the mean over the target tokens that have links, and part of the training loss.
        clip_norm: maximum gradient norm; 0 disables clipping.
        precision: data type of activations and matrix products; master weights are float32. `auto` is bfloat16 where
            the device multiplies it fast (CUDA, AMX, AVX512-BF16), and for a resumed run the type it began with.
        compile: compile the model with torch.compile; a sharded model in parts, one per sublayer.
        cuda_graphs: launch compiled code as CUDA graphs, which is faster if the host is slower than the GPU; requires
            compile and changes nothing on the CPU.
        parallel: division of the model among ranks. `replicate` gives every rank the whole model. `shard` divides
            weights, gradients and optimizer states among all ranks (FSDP2), for models that do not fit one GPU.
            `hybrid` divides them among the ranks of a machine. Both exclude cuda_graphs: gathered weights change their
            addresses. One rank ignores it.
        ema_decay: decay of the exponential moving average of the weights, which is then used for validation and
            decoding; 0 disables it.
        validate_every: steps between validations.
        save_every: steps between checkpoints.
        keep_last: number of newest checkpoints to keep.
        log_every: steps between log lines.
        report_to: services that show the metrics, besides `metrics.jsonl`; wandb and mlflow are extras.
        metric: metric that selects the best checkpoint: loss, BLEU or chrF of translations, accuracy of a classifier.
        patience: stop after N validations without improvement; 0 disables early stopping.
        valid_decode_examples: maximum number of validation examples that are translated (greedily) or classified; 0
            disables it.
        average_checkpoints: average the weights of the last N checkpoints at the end; 0 disables it.
        max_loss_increase: a step diverges if its loss per token, in nats, is more than this above the moving average of
            earlier steps, or if loss or gradient are not finite; the latter do not change the weights.
        max_skipped_steps: after N consecutive steps that diverge, the run goes back to the last good checkpoint, or to
            the initial weights, and goes on with later data.
        max_recoveries: number of times that a run goes back before it ends with an error; 0 ends it at once.
        recovery_rate: factor on the learning rate for the rest of the run, each time that it goes back.
        data_workers: number of processes that tokenize ahead of training; 0 tokenizes in the training process.
    """

    objective: ObjectiveName = "translation"
    start_from: str | None = None
    corruption: CorruptionConfig = CorruptionConfig()
    max_steps: PositiveInt = 100_000
    step_tokens: PositiveInt | None = None
    batch_tokens: AutoOrPositiveInt = 4096
    accumulation: PositiveInt = 1
    optimizer: Literal["adamw", "adam", "muon"] = "adamw"
    learning_rate: PositiveFloat = 5e-4
    betas: tuple[Probability, Probability] = (0.9, 0.98)
    epsilon: PositiveFloat = 1e-9
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["inverse_sqrt", "cosine", "warmup_stable_decay"] = "inverse_sqrt"
    warmup_steps: NonNegativeInt = 4000
    final_learning_rate: NonNegativeFloat = 0.0
    decay_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    label_smoothing: Probability = 0.1
    guided_alignment_weight: NonNegativeFloat = 0.0
    clip_norm: NonNegativeFloat = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    compile: bool = False
    cuda_graphs: bool = False
    parallel: Literal["replicate", "shard", "hybrid"] = "replicate"
    ema_decay: Probability = 0.0
    validate_every: PositiveInt = 1000
    save_every: PositiveInt = 1000
    keep_last: PositiveInt = 3
    log_every: PositiveInt = 100
    report_to: Annotated[tuple[Reporting, ...], BeforeValidator(as_list)] = ("tensorboard",)
    metric: Literal["loss", "bleu", "chrf", "accuracy"] = "loss"
    patience: NonNegativeInt = 0
    valid_decode_examples: NonNegativeInt = 1000
    average_checkpoints: NonNegativeInt = 0
    max_loss_increase: PositiveFloat = 2.0
    max_skipped_steps: PositiveInt = 5
    max_recoveries: NonNegativeInt = 3
    recovery_rate: Annotated[float, Number, Field(gt=0, le=1)] = 0.5
    data_workers: NonNegativeInt = 0

    @model_validator(mode="after")
    def _is_consistent(self) -> TrainingConfig:
        problems = self._metric_problems()
        if self.objective not in ("denoising", "masked_language_modeling") and self.corruption != CorruptionConfig():
            problems.append(
                f"corruption requires objective: denoising or masked_language_modeling. Received: {self.objective}."
            )
        if self.batch_tokens == "auto" and self.step_tokens is None:
            problems.append("batch_tokens: auto requires step_tokens, the tokens that a step learns from.")
        if self.step_tokens is not None and self.accumulation > 1:
            problems.append("step_tokens and accumulation are mutually exclusive. Remove accumulation.")
        only_share = CorruptionConfig(share=self.corruption.share)
        if self.objective == "masked_language_modeling" and self.corruption != only_share:
            problems.append("masked_language_modeling uses corruption.share only. Received: other keys of corruption.")
        if self.schedule == "cosine" and self.warmup_steps >= self.max_steps:
            problems.append(
                "schedule: cosine requires warmup_steps below max_steps. "
                f"Received: warmup_steps={self.warmup_steps}, max_steps={self.max_steps}."
            )
        if self.schedule == "warmup_stable_decay" and self.warmup_steps > (1 - self.decay_share) * self.max_steps:
            problems.append(
                "schedule: warmup_stable_decay requires that warm-up and decay fit in max_steps. "
                f"Received: warmup_steps={self.warmup_steps}, decay_share={self.decay_share}, "
                f"max_steps={self.max_steps}."
            )
        if self.cuda_graphs and not self.compile:
            problems.append("cuda_graphs requires compile: true. Received: compile: false.")
        if self.parallel != "replicate" and self.cuda_graphs:
            problems.append(f"parallel: {self.parallel} requires cuda_graphs: false. Received: cuda_graphs: true.")
        if self.optimizer == "muon" and self.parallel != "replicate":
            problems.append(
                "optimizer: muon requires parallel: replicate, because it makes whole matrices orthogonal. "
                f"Received: parallel: {self.parallel}. Use optimizer: adamw to divide the model among ranks."
            )
        if self.guided_alignment_weight and self.compile:
            problems.append(
                "guided_alignment_weight requires compile: false. Received: compile: true. Compiled code has the "
                "shapes of the longest possible sentences, to which the weights of the alignment head would be padded."
            )
        if len(set(self.report_to)) < len(self.report_to):
            problems.append(f"report_to must not name a service twice. Received: {', '.join(self.report_to)}.")
        if self.average_checkpoints > self.keep_last:
            problems.append(
                "average_checkpoints must not exceed keep_last. "
                f"Received: average_checkpoints={self.average_checkpoints}, keep_last={self.keep_last}."
            )
        if problems:
            raise ValueError(" ".join(problems))
        return self

    def _metric_problems(self) -> list[str]:
        """Return the problems of the metric."""
        kinds = {"bleu": "translation", "chrf": "translation", "accuracy": "classification"}
        if self.metric == "loss":
            return []
        if self.objective != kinds[self.metric]:
            return [f"metric: {self.metric} requires objective: {kinds[self.metric]}. Received: {self.objective}."]
        if not self.valid_decode_examples:
            return [f"metric: {self.metric} requires valid_decode_examples above 0. Received: 0."]
        return []


class Config(Section):
    """The configuration of one run.

    Attributes:
        output: model directory.
        seed: random seed of the run.
    """

    output: str
    seed: Annotated[int, Number, Field(ge=0, lt=2**32)] = 1  # NumPy takes seeds of 32 bits
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()

    @property
    def form(self) -> Form:
        """Form of a row of held-out data."""
        return FORMS[self.training.objective]

    @property
    def train_form(self) -> Form:
        """Form of a row of training data."""
        return "aligned" if self.form == "pairs" and self.training.guided_alignment_weight else self.form

    @model_validator(mode="after")
    def _sections_agree(self) -> Config:
        problems = [*self._model_problems(), *self._data_problems(), *self._guided_alignment_problems()]
        if problems:
            raise ValueError(" ".join(problems))
        return self

    def _model_problems(self) -> list[str]:
        """Return the reasons that the model cannot learn the objective."""
        model, objective, joint = self.model, self.training.objective, self.tokenizer.joint
        problems = []
        if model.architecture not in ARCHITECTURES[objective]:
            problems.append(
                f"training.objective: {objective} requires model.architecture: "
                f"{' or '.join(ARCHITECTURES[objective])}. Received: {model.architecture}."
            )
        if not joint and (model.architecture != "encoder_decoder" or self.form != "pairs"):
            problems.append(
                f"model.architecture: {model.architecture} with training.objective: {objective} requires one "
                "vocabulary. Received: tokenizer.joint=false. Set it to true."
            )
        elif not joint and model.tied_embeddings == "all":
            problems.append(
                "model.tied_embeddings: all requires one vocabulary. "
                "Received: tokenizer.joint=false. Set tied_embeddings to target or none."
            )
        if objective in ("denoising", "masked_language_modeling") and not self.tokenizer.sentinels:
            problems.append(
                f"training.objective: {objective} requires sentinels. Received: tokenizer.sentinels=0. "
                f"Set it to {32 if objective == 'denoising' else 1}."
            )
        if (model.source_vectors or model.target_vectors) and model.architecture != "encoder_decoder":
            problems.append(
                "source_vectors and target_vectors require architecture: encoder_decoder. "
                f"Received: {model.architecture}."
            )
        return problems

    def _data_problems(self) -> list[str]:
        """Return the reasons that the data does not fit the objective."""
        data, objective, form = self.data, self.training.objective, self.form
        problems = []
        for key in ("source_language", "target_language"):
            if form == "pairs" and getattr(data, key) is None:
                problems.append(f"data.{key}: required for translation, and missing.")
        if form == "labelled" and len(set(data.labels)) < max(2, len(data.labels)):
            problems.append(
                f"classification requires two or more different data.labels. Received: {shorten(data.labels)}."
            )
        if form != "labelled" and data.labels:
            problems.append(f"data.labels require training.objective: classification. Received: {objective}.")
        if form == "texts" and data.augmentation != AugmentationConfig():
            problems.append(
                f"data.augmentation requires training.objective: translation or classification. Received: {objective}."
            )
        for part in ("train", "valid", "test"):
            for number, source in enumerate(getattr(data, part)):
                found = source.problems(self.train_form if part == "train" else form)
                problems += [f"data.{part}.{number}: {problem}" for problem in found]
        if not data.valid and (self.training.metric != "loss" or self.training.patience):
            problems.append("training.metric and training.patience require data.valid, and it is missing.")
        return problems

    def _guided_alignment_problems(self) -> list[str]:
        """Return the reasons that guided alignment, if it is enabled, is not possible."""
        if not self.training.guided_alignment_weight:
            return []
        problems, name = [], "training.guided_alignment_weight"
        if self.training.objective != "translation" or self.model.architecture != "encoder_decoder":
            problems.append(
                f"{name} requires cross-attention, training.objective: translation and model.architecture: "
                f"encoder_decoder. Received: {self.training.objective}, {self.model.architecture}."
            )
        elif self.model.alignment_head is None and not (self.training.start_from and not self.model.names_alignment):
            problems.append(f"{name} requires model.alignment_head, the head to train. Set model.alignment_head=1.")
        if self.data.train and not any(source.has_alignment for source in self.data.train):
            problems.append(
                f"{name} requires a source in data.train with word alignments, and none has them. "
                "Set alignment_column or text.alignment."
            )
        return problems
