"""The training loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import torch

from translator.checkpoint import (
    average_weights,
    locked,
    point,
    prune,
    read_training_state,
    step_checkpoints,
    step_of,
    write_checkpoint,
)
from translator.config import Config, UserError
from translator.data.batching import BatchStream
from translator.data.cleaning import table
from translator.data.corpus import Corpus, read_rows
from translator.file_input import expand_user
from translator.model import Model, build_model
from translator.tokenizer import Tokenizers
from translator.training.backward import Backward
from translator.training.beginning import begin
from translator.training.card import write_card
from translator.training.distributed import Ranks
from translator.training.interruption import Interruption
from translator.training.memory import is_out_of_memory, keep_freed_memory, return_freed_memory
from translator.training.metrics import LateResults, Metrics, Progress, StepResult, StepTotals, Window
from translator.training.optimizer import (
    WeightAverage,
    build_optimizer,
    scale_and_clip,
    set_learning_rate,
    step_unless,
)
from translator.training.preparation import claim_directory, prepare_corpus, prepare_tokenizers
from translator.training.schedule import learning_rate
from translator.training.state import TrainingState, draw_seed
from translator.training.validation import Validator, is_better, using_weights

# A CUDA device is kept busy by a host that runs ahead of it and reads what a step came to when it has long been done.
_STEPS_AHEAD = {"cpu": 0, "cuda": 4}

_TOO_LARGE_TO_BEGIN = (
    "What comes before the first step, the data being prepared and the model being built, must fit in memory. "
    "Received: no memory left. Free some, or choose less data or a smaller model."
)


class TrainingError(UserError):
    """A run that cannot go on."""


def train(config: Config, allow_config_change: bool = False) -> Path:
    """Train what a configuration describes, or go on where an earlier run of it stopped.

    Args:
        config: the run; its `output` is made where it does not exist.
        allow_config_change: let a resumed run differ from what it was.

    Returns:
        The run directory.

    Raises:
        UserError: configuration, data or directory cannot be used, memory ran out, or training came to nothing finite.
    """
    keep_freed_memory()
    run = expand_user(config.output)
    ranks = Ranks.join()
    trainer: Trainer | None = None
    try:
        with locked(run) if ranks.is_main else contextlib.nullcontext():
            if ranks.is_main:
                claim_directory(run, config, allow_config_change)
                tokenizers = prepare_tokenizers(run, config, _say)
                corpus = prepare_corpus(config, tokenizers, _say)
            ranks.wait()  # the others find what the first one made
            if not ranks.is_main:
                tokenizers = prepare_tokenizers(run, config, _ignore)
                corpus = prepare_corpus(config, tokenizers, _ignore)
            trainer = Trainer(config, run, ranks, tokenizers, corpus)
            trainer.run()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(_TOO_LARGE_TO_BEGIN if trainer is None else _too_large(config, run)) from error
    finally:
        ranks.leave()
    return run


class Trainer:
    """One run: `run` is the loop, and the other methods are its steps."""

    def __init__(self, config: Config, run: Path, ranks: Ranks, tokenizers: Tokenizers, corpus: Corpus) -> None:
        self.config, self.directory, self.ranks, self.tokenizers, self.corpus = config, run, ranks, tokenizers, corpus
        self.options = config.training
        self.model, self.state = self._fresh_state()
        if (run / "last").exists():
            self._resume()
        else:
            begin(self.model, config, tokenizers, _say if ranks.is_main else _ignore)
        self.backward = Backward(self.model, self.options, static_shapes=self._has_static_shapes)
        self.progress = Progress(self.state.step, self.options.max_steps, ranks.is_main)
        self.validator: Validator | None = None
        if ranks.is_main and config.data.valid:
            rows = list(read_rows(config.data.valid, config.data, config.form))
            self.validator = Validator(rows, config, tokenizers)
            if self.validator.num_left_out:
                self.progress.say(f"{self.validator.num_left_out} validation examples are too long for the loss")

    def run(self) -> None:
        """Train to the last step, validating and saving on the way."""
        state, options = self.state, self.options
        metrics = Metrics(self.directory, state.step) if self.ranks.is_main else None
        window, results = Window(), LateResults(_STEPS_AHEAD[self.ranks.device.type])
        with Interruption() as interruption, contextlib.closing(self.progress):
            while state.step < options.max_steps and not self._is_out_of_patience():
                results.add(self._step(is_asked_to_stop=interruption.signal is not None))
                self.progress.advance()
                must_stop = self._account(results.due(), window)
                if must_stop or self._is_milestone(state.step):  # what follows speaks of all steps so far
                    must_stop |= self._account(results.rest(), window)

                if state.step % options.log_every == 0:
                    self._report(metrics, window.summary())
                    window = Window()

                is_best = False
                if state.step % options.validate_every == 0 or state.step == options.max_steps:
                    with window.paused():
                        is_best = self._validate(metrics)
                if is_best or must_stop or state.step % options.save_every == 0 or state.step == options.max_steps:
                    with window.paused():
                        self._save(is_best)
                if must_stop:
                    self.ranks.wait()
                    self.progress.say(f"stopped after step {state.step}; the same command goes on from there")
                    interruption.raise_if_asked()
                    return
        if self.ranks.is_main:
            self._finish(metrics)
        if metrics is not None:
            metrics.close()

    def _step(self, is_asked_to_stop: bool) -> StepResult:
        """One optimizer step over `accumulation` micro-batches on every rank; nothing here waits for a CUDA device."""
        state, options = self.state, self.options
        sums = torch.zeros(3, device=self.ranks.device)  # loss, target tokens, requests to stop
        sums[2].fill_(is_asked_to_stop)  # an assignment would copy a number from the host, and wait
        state.optimizer.zero_grad()
        for number in range(options.accumulation):
            batch = next(state.stream).to(self.ranks.device)
            seed = draw_seed(self.config.seed, batch.index)
            torch.manual_seed(seed)
            # filled on the device: copying a number from the host would synchronize
            attention_seed = torch.full((1,), seed, dtype=torch.int64, device=self.ranks.device)
            loss, count = self.backward(batch, number, attention_seed)
            sums[0] += loss
            sums[1] += count

        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        self.ranks.sum([*gradients, sums])
        norm = scale_and_clip(gradients, 1 / sums[1], options.clip_norm)
        state.step += 1
        rate = learning_rate(options, state.step)
        set_learning_rate(state.optimizer, rate)
        step_unless(state.optimizer, ~(torch.isfinite(norm) & torch.isfinite(sums[0])))
        if state.average is not None:
            state.average.update(dict(self.model.named_parameters()))
        return StepResult(state.step, rate, torch.cat([sums, norm[None]]))

    def _account(self, results: Iterable[StepResult], window: Window) -> bool:
        """Count finished steps; whether a rank was asked to stop before one of them."""
        must_stop = False
        for result in results:
            totals = result.totals()
            window.add(totals)
            self.state.target_tokens += totals.tokens
            self.state.skipped_steps = 0 if totals.is_finite else self.state.skipped_steps + 1
            if not totals.is_finite:
                self._report_skipped(result.step, totals)
            must_stop |= totals.must_stop
        return must_stop

    def _is_milestone(self, step: int) -> bool:
        """Whether a report, a validation or a checkpoint follows this step."""
        options = self.options
        return step == options.max_steps or any(
            step % every == 0 for every in (options.log_every, options.validate_every, options.save_every)
        )

    def _report_skipped(self, step: int, totals: StepTotals) -> None:
        """Say that a step was skipped, its loss or gradient not being finite; several in a row end the run."""
        seen = (
            f"loss {totals.loss / totals.tokens:.4g}, gradient norm {totals.norm:.4g}, learning rate {totals.rate:.4g}"
        )
        self.progress.say(f"step {step} skipped: {seen}")
        if self.state.skipped_steps >= self.options.max_skipped_steps:
            raise TrainingError(
                f"Loss and gradients must be finite. Received: {self.state.skipped_steps} steps in a row that are not, "
                f"the last with {seen}. Lower training.learning_rate, lengthen training.warmup_steps or lower "
                f"training.clip_norm; {self.directory / 'last'} is the last good checkpoint."
            )

    def _validate(self, metrics: Metrics | None) -> bool:
        """Judge the decoding weights on the first rank; whether they are the best so far, on all."""
        if not self.config.data.valid:
            return False
        state, metric = self.state, self.options.metric
        result = [0.0]
        if self.validator is not None and metrics is not None:
            with using_weights(self.model, state.decoding_weights()):
                values = self.validator(self.model)
            return_freed_memory()  # translating leaves other gaps than training
            result = [values[metric]]
            metrics.write(state.step, {f"valid_{name}": value for name, value in values.items()})
            self.progress.say(
                f"step {state.step}  " + "  ".join(f"valid {name} {value:.4g}" for name, value in values.items())
            )
        (value,) = self.ranks.from_main(result)
        is_best = is_better(metric, value, state.best)
        state.best = value if is_best else state.best
        state.worse_validations = 0 if is_best else state.worse_validations + 1
        return is_best

    def _is_out_of_patience(self) -> bool:
        return bool(self.options.patience) and self.state.worse_validations >= self.options.patience

    def _save(self, is_best: bool) -> None:
        """Write a checkpoint and point `last`, and `best` where it is, at it."""
        if not self.ranks.is_main:
            return
        checkpoint = write_checkpoint(
            self.directory,
            f"step-{self.state.step}",
            self.state.decoding_weights(),
            self.tokenizers,
            {**self.state.state_dict(), "corpus": self.corpus.fingerprint},
        )
        point(self.directory, "last", checkpoint)
        if is_best:
            point(self.directory, "best", checkpoint)
        prune(self.directory, self._regular_checkpoints()[-self.options.keep_last :])

    def _regular_checkpoints(self) -> list[Path]:
        """Those that any run of this configuration makes: not the ones made because it was asked to stop."""
        return [
            path
            for path in step_checkpoints(self.directory)
            if step_of(path) % self.options.save_every == 0 or step_of(path) == self.options.max_steps
        ]

    def _resume(self) -> None:
        """Go back to the last checkpoint."""
        last = self.directory / "last"
        saved = read_training_state(last.resolve())
        if saved["corpus"] != self.corpus.fingerprint:
            raise TrainingError(
                f"A resumed run learns from the corpus that it began with. Received: {self.directory}, begun with "
                f"corpus {saved['corpus'][:12]}, and sources that now give {self.corpus.fingerprint[:12]}. "
                "Restore the data or choose another output."
            )
        self.state.load_state_dict(saved, str(last))
        if self.ranks.is_main:
            _say(f"going on from step {self.state.step} of {self.options.max_steps}")

    def _fresh_state(self) -> tuple[Model, TrainingState]:
        config, options = self.config, self.options
        torch.manual_seed(config.seed)
        model = build_model(
            config.model,
            self.tokenizers.source.vocab_size,
            self.tokenizers.target.vocab_size,
            options.label_smoothing,
            len(config.data.labels),
        ).to(self.ranks.device)
        stream = BatchStream(
            self.corpus,
            seed=config.seed,
            batch_tokens=options.batch_tokens,
            rank=self.ranks.rank,
            world_size=self.ranks.world_size,
            workers=options.data_workers,
            static_shapes=self._has_static_shapes,
        )
        if self.ranks.is_main:
            _say(table(stream.report))
        average = WeightAverage(dict(model.named_parameters()), options.ema_decay) if options.ema_decay else None
        model.train()
        return model, TrainingState(model, build_optimizer(model, options), stream, average)

    @property
    def _has_static_shapes(self) -> bool:
        """On CUDA every batch is filled up to the same sizes, so that one compiled graph serves all steps."""
        return self.ranks.device.type == "cuda"

    def _report(self, metrics: Metrics | None, values: dict[str, float]) -> None:
        if metrics is not None:
            metrics.write(self.state.step, {**values, "target_tokens": self.state.target_tokens})
            self.progress.report(self.state.step, {"loss": values["loss"], "tokens/s": values["tokens_per_second"]})

    def _finish(self, metrics: Metrics | None) -> None:
        """Average the last checkpoints where asked, keep the average if it is better, and describe the model."""
        count = self.options.average_checkpoints
        if count:
            averaged = self._regular_checkpoints()[-count:]
            weights = average_weights(averaged)
            average = write_checkpoint(self.directory, "average", weights, self.tokenizers)
            is_best = not self.config.data.valid
            if self.validator is not None:
                with using_weights(self.model, weights):
                    values = self.validator(self.model)
                is_best = is_better(self.options.metric, values[self.options.metric], self.state.best)
                self.progress.say(
                    f"average of {len(averaged)}  "
                    + "  ".join(f"valid {name} {value:.4g}" for name, value in values.items())
                )
                if metrics is not None:
                    metrics.write(self.state.step, {f"average_{name}": value for name, value in values.items()})
            if is_best:
                point(self.directory, "best", average)
        write_card(self.directory, self.config, table(self.state.stream.report), self.state)


def _too_large(config: Config, run: Path) -> str:
    """What to do where a step does not fit in memory."""
    options = config.training
    last = f"{run / 'last'} is the last good checkpoint." if (run / "last").exists() else "Nothing was saved yet."
    return (
        f"A training step must fit in memory. Received: no memory left with training.batch_tokens="
        f"{options.batch_tokens}. Halve it and double accumulation, which learns from as many tokens a step: "
        f"training.batch_tokens={max(1, options.batch_tokens // 2)} training.accumulation={2 * options.accumulation}, "
        f"in a new output directory. {last}"
    )


def _say(line: str) -> None:
    Progress(0, 1, is_shown=True).say(line)


def _ignore(line: str) -> None:
    """What other ranks than the first have to say."""
