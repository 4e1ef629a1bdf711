"""The training loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from translator.checkpoint import SHARDS_KEY, locked, weights_of
from translator.config import Config, TrainingConfig
from translator.data.cleaning import table
from translator.data.examples import Sharing
from translator.data.steps import StepStream
from translator.file_input import expand_user
from translator.training.batch_size import choose_batch_tokens
from translator.training.card import write_card
from translator.training.checkpoints import RunCheckpoints
from translator.training.divergence import Divergence
from translator.training.gradient_sum import GradientSum
from translator.training.guided_alignment import link_factor, num_linked_tokens
from translator.training.initialization import initial_model, with_earlier_alignment
from translator.training.interruption import Interruption
from translator.training.memory import (
    bound_primitive_caches,
    is_out_of_memory,
    keep_freed_memory,
)
from translator.training.messages import beginning, early_stop, summary, too_large, too_large_to_begin
from translator.training.metrics import Metrics, StepResult, StepResultQueue, TrainingProgress, shown_metrics
from translator.training.optimizer import WeightAverage, build_optimizer, set_learning_rate, step_unless
from translator.training.parallel import Ranks, is_lost_rank, is_sharded, lost_rank, scale_and_clip
from translator.training.precision import check_same_processor, choose_precision
from translator.training.reporters import make_reporters
from translator.training.schedule import learning_rate
from translator.training.setup import Setup, TrainingError, set_up, write_config
from translator.training.sharding import gather, shard
from translator.training.state import TrainingState
from translator.training.step_gradients import StepGradients
from translator.training.validation import Validation

if TYPE_CHECKING:  # a slow import, which only sharded runs need
    from translator.training.sharded_checkpoints import ShardedCheckpoints

__all__ = ["Trainer", "TrainingError", "train"]

# Steps that the host may run ahead, so that the GPU stays busy.
_STEPS_AHEAD = {"cpu": 0, "cuda": 4}


def train(config: Config, allow_config_change: bool = False) -> Path:
    """Train the model of a configuration, or resume an earlier run of it.

    Args:
        config: configuration; its `output` is created if it does not exist.
        allow_config_change: whether a resumed run may differ from the configuration it began with.

    Returns:
        The run directory.

    Raises:
        UserError: if configuration, data or directory cannot be used, memory runs out, or training diverges.
    """
    keep_freed_memory()
    bound_primitive_caches()
    run = expand_user(config.output)
    ranks = Ranks.join()
    trainer: Trainer | None = None
    try:
        with contextlib.ExitStack() as stack:
            ranks.on_main(lambda: stack.enter_context(locked(run)))
            say = _say if ranks.is_main else _ignore
            config = with_earlier_alignment(config, run, ranks, say)
            # Not kept in a variable, so that the state to resume from is freed once it is loaded.
            trainer = Trainer(
                config, run, ranks, set_up(run, config, ranks, allow_config_change=allow_config_change, say=say)
            )
            try:
                ranks.on_main(lambda: write_config(run, config))
                trainer.run()
            finally:
                trainer.close()
    except (MemoryError, RuntimeError) as error:
        if ranks.world_size > 1 and is_lost_rank(error):
            raise lost_rank(error) from error
        if not is_out_of_memory(error):
            raise
        raise TrainingError(too_large_to_begin() if trainer is None else too_large(config.training, run)) from error
    finally:
        ranks.leave()
    return run


class Trainer:
    """One run: `run` is the loop, the other methods are its steps.

    Every method is called by all ranks. Rank 0 alone writes, logs and validates.

    Args:
        config: configuration of the run.
        run: run directory.
        ranks: ranks of the run.
        setup: tokenizers, corpus and state to resume from.
        is_shown: whether rank 0 shows progress.
    """

    def __init__(self, config: Config, run: Path, ranks: Ranks, setup: Setup, *, is_shown: bool = True) -> None:
        self.config, self.directory, self.ranks = config, run, ranks
        self.options = config.training
        self.tokenizers, self.corpus = setup.tokenizers, setup.corpus
        self.checkpoints = RunCheckpoints(run, self.options, self.tokenizers)
        self.model = initial_model(config, self.tokenizers, ranks, _say, is_new=setup.state is None)
        earlier = None if setup.state is None else setup.state.get("precision")
        self.precision = ranks.on_main(lambda: choose_precision(self.options.precision, ranks.device, earlier, _say))
        if self.options.optimizer == "muon":
            check_same_processor(ranks)
        self.options = self._with_batch_tokens(None if setup.state is None else setup.state.get("batch_tokens"))
        # So that one compiled graph serves all steps. In eager mode padding would only take memory and time.
        static_shapes = self.options.compile and ranks.device.type == "cuda"
        shard(self.model, ranks, self.options, self.precision.dtype, static_shapes=static_shapes)
        self.is_sharded = any(is_sharded(parameter) for parameter in self.model.parameters())
        self.sharded_checkpoints: ShardedCheckpoints | None = None
        if self.is_sharded and setup.is_shared:
            from translator.training.sharded_checkpoints import ShardedCheckpoints

            self.sharded_checkpoints = ShardedCheckpoints(run, ranks)
        self.state = self._initial_state()
        if setup.state is not None:
            self._load_state(setup.state, str(setup.checkpoint))
            ranks.on_main(lambda: self.checkpoints.restore_links(self.state.step, self.state.best_step))
        self.progress = TrainingProgress(self.state.step, self.options.max_steps, ranks.is_main and is_shown)
        capacity = self.state.stream.capacity if static_shapes else None
        # Sharded gradients are summed by the backward pass itself
        self.gradient_sum = GradientSum([] if self.is_sharded else list(self.model.parameters()), ranks)
        self.gradients = StepGradients(
            self.model,
            # A sharded model converts its weights itself, and has been compiled in parts
            self.options.model_copy(update={"compile": False}) if self.is_sharded else self.options,
            torch.float32 if self.is_sharded else self.precision.dtype,
            config.seed,
            capacity,
            self.progress.say,
            self.gradient_sum,
            can_retry=not self.is_sharded,
        )
        self.divergence = Divergence(
            self.options,
            run,
            ranks,
            self.state,
            self.checkpoints,
            self.progress,
            load_state=self._load_state,
            initial_weights=lambda: weights_of(initial_model(config, self.tokenizers, ranks, _say, is_new=True)),
        )
        self.validation = Validation(
            config.model_copy(update={"training": self.options}),
            run,
            ranks,
            self.state,
            self.tokenizers,
            self.precision.dtype,
            self.progress.say,
        )
        if ranks.is_main:
            self.progress.say(table(self.state.stream.report))

    def run(self) -> None:
        """Train to the last step, validating and saving on the way."""
        state, options, window = self.state, self.options, self.state.window
        with self.ranks.together():
            metrics = self._metrics() if self.ranks.is_main else None
        steps_ahead = _STEPS_AHEAD[self.ranks.device.type]
        results, is_in_step = StepResultQueue(steps_ahead), steps_ahead == 0
        started, first_step, first_tokens = time.monotonic(), state.step, state.target_tokens
        if line := beginning(state, options):
            self.progress.say(line)
        window.start_clock()
        with Interruption() as interruption, contextlib.closing(self.progress):
            while not self._is_finished():
                results.add(self.step(is_asked_to_stop=interruption.signal is not None or self._has_failed_checkpoint))
                self.progress.advance()
                must_stop = self._account(results.due())
                if must_stop or self._is_milestone(state.step):  # what follows needs the totals of all steps so far
                    must_stop |= self._account(results.rest())
                # Not when a signal happens to make all results known: a resumed run goes back at the same step.
                if self.divergence.has_diverged and (is_in_step or self._is_milestone(state.step)):
                    self._recover(metrics)
                else:
                    self._report_validate_and_save(metrics, must_stop)
                if must_stop:
                    self._wait_for_checkpoint()
                    self.progress.say(f"stopped after step {state.step}; the same command resumes from there")
                    interruption.raise_if_requested()
                    return
        self._wait_for_checkpoint()
        self._finish(metrics)
        with self.ranks.together():  # a rank that ends before the others is taken for a lost one
            if metrics is not None:
                metrics.close()
        if state.step > first_step:
            seconds, tokens = time.monotonic() - started, state.target_tokens - first_tokens
            self.progress.say(summary(state, options, self.ranks.device, seconds, tokens))

    def _report_validate_and_save(self, metrics: Metrics | None, must_stop: bool) -> None:
        """Do what follows a step: each at its own interval, and a checkpoint also if the run is about to end."""
        state, options, is_best = self.state, self.options, False
        if state.step % options.log_every == 0:
            self._report(metrics)
            state.window.reset()
        if state.step % options.validate_every == 0 or state.step == options.max_steps:
            with state.window.paused():
                is_best = self.validation.run(metrics)
        if is_best or must_stop or state.step % options.save_every == 0 or self._is_finished():
            with state.window.paused():
                self._save(is_best)

    def _recover(self, metrics: Metrics | None) -> None:
        """Go back after a divergence, and save that the run did."""
        self._wait_for_checkpoint()
        self.divergence.recover(metrics)
        if self.state.good_step is not None:
            self._save(is_best=False)

    def close(self) -> None:
        """Finish what is written in the background, in whatever state the other ranks are."""
        if self.sharded_checkpoints is not None:
            self.sharded_checkpoints.close()

    def _metrics(self) -> Metrics:
        step = self.state.step
        return Metrics(self.directory, step, make_reporters(self.config, self.directory, step))

    def step(self, is_asked_to_stop: bool = False) -> StepResult:
        """Take one optimizer step over its micro-batches on every rank, without synchronization on CUDA."""
        state, options = self.state, self.options
        state.optimizer.zero_grad()
        batches = next(state.stream)
        factor = link_factor(batches, options.guided_alignment_weight, self.ranks)
        # Loss, target tokens, alignment loss, retries; requests to stop, linked tokens.
        sums = F.pad(self.gradients(batches, factor), (0, 2))
        sums[4].fill_(is_asked_to_stop)  # an assignment would copy a number from the host and synchronize
        sums[5].fill_(num_linked_tokens(batches))

        self.gradient_sum.finish()
        self.ranks.sum([sums])
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norm = scale_and_clip(gradients, 1 / sums[1], options.clip_norm)
        state.step += 1
        rate = state.rate_factor * learning_rate(options, state.step)
        set_learning_rate(state.optimizer, rate)
        step_unless(state.optimizer, ~(torch.isfinite(norm) & torch.isfinite(sums[0])))
        if state.average is not None:
            state.average.update(dict(self.model.named_parameters()))
        return StepResult(state.step, rate, torch.cat([sums, norm[None]]))

    def _account(self, results: Iterable[StepResult]) -> bool:
        """Count finished steps; return True if a rank received a signal to stop before one of them."""
        must_stop = False
        for result in results:
            totals = result.totals()
            self.state.window.add(totals)
            self.state.target_tokens += totals.tokens
            must_stop |= totals.must_stop
            self.divergence.count(result.step, totals)
        return must_stop

    def _is_milestone(self, step: int) -> bool:
        """Return True if a report, a validation or a checkpoint follows a step."""
        options = self.options
        return step == options.max_steps or any(
            step % every == 0 for every in (options.log_every, options.validate_every, options.save_every)
        )

    def _is_finished(self) -> bool:
        return self.state.step >= self.options.max_steps or self.state.is_out_of_patience(self.options)

    def _has_stopped_early(self) -> bool:
        return self.state.is_out_of_patience(self.options) and self.state.step < self.options.max_steps

    def _report(self, metrics: Metrics | None) -> None:
        if metrics is not None:
            values = self.state.window.summary()
            metrics.write(self.state.step, {**values, "target_tokens": self.state.target_tokens})
            self.progress.report(self.state.step, shown_metrics(values))

    def _save(self, is_best: bool) -> None:
        """Write a checkpoint."""
        if self._has_stopped_early():
            self.checkpoints.stop_early(self.state.step)
        if self.state.skipped_steps == 0 and self.state.step % self.options.save_every == 0:
            self.state.good_step, self.state.good_best_step = self.state.step, self.state.best_step
        needed = (self.state.good_step, self.state.good_best_step)
        step, weights = self.state.step, gather(self.state.decoding_weights(), self.ranks)
        identity = {
            "corpus": self.corpus.fingerprint,
            "precision": self.precision.state_dict(),
            "batch_tokens": self.options.batch_tokens,
        }
        if self.sharded_checkpoints is None:
            state = {**self.state.state_dict(self.ranks), **identity}
            self.ranks.on_main(lambda: self.checkpoints.save(step, weights, state, is_best=is_best, needed=needed))
            return
        plain = {**self.state.plain_state(), **identity}
        self.sharded_checkpoints.save(
            f"step-{step}",
            self.state.tensors(),
            lambda: self.checkpoints.new(step, is_best=is_best, needed=needed),
            lambda folder, shards: self.checkpoints.write(folder, weights, {**plain, SHARDS_KEY: shards}),
        )

    @property
    def _has_failed_checkpoint(self) -> bool:
        """True if a checkpoint could not be written in the background, which ends the run with the error of `_save`."""
        return self.sharded_checkpoints is not None and self.sharded_checkpoints.has_failed

    def _wait_for_checkpoint(self) -> None:
        """Wait until the last checkpoint is written."""
        if self.sharded_checkpoints is not None:
            self.sharded_checkpoints.wait()

    def _load_state(self, state: dict[str, Any], checkpoint: str) -> None:
        """Resume from a training state; that of a sharded checkpoint lacks the tensors, which each rank then reads."""
        if SHARDS_KEY not in state:
            self.state.load_state_dict(state, checkpoint)
            return
        from translator.training.sharded_checkpoints import read_shards

        self.state.load_state_dict(state, checkpoint, partial(read_shards, Path(checkpoint)))

    def _finish(self, metrics: Metrics | None) -> None:
        """Average the last checkpoints if asked, keep the average if it is better, and write the model card."""
        if self._has_stopped_early():
            self.checkpoints.stop_early(self.state.step)
            self.progress.say(early_stop(self.state, self.options))
        num_parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.ranks.on_main(lambda: self._write_results(metrics, num_parameters))

    def _write_results(self, metrics: Metrics | None, num_parameters: int) -> None:
        if self.options.average_checkpoints:
            weights, count = self.checkpoints.average(self.options.average_checkpoints)
            average = self.checkpoints.save_average(weights)
            if self.validation.is_improvement(weights, metrics, f"average of {count}", "average"):
                self.checkpoints.point_best(average)
        report = table(self.state.stream.report)
        write_card(self.directory, self.config, report, self.state, num_parameters, self.precision)

    def _initial_state(self) -> TrainingState:
        options = self.options
        assert options.batch_tokens != "auto"
        stream = StepStream(
            self.corpus,
            seed=self.config.seed,
            batch_tokens=options.batch_tokens,
            step_tokens=options.step_tokens,
            accumulation=options.accumulation,
            rank=self.ranks.rank,
            world_size=self.ranks.world_size,
            workers=options.data_workers,
            sharing=Sharing(self.ranks.rank, self.ranks.world_size, self.ranks.exchange_results),
        )
        parameters = dict(self.model.named_parameters())
        average = WeightAverage(parameters, options.ema_decay) if options.ema_decay else None
        return TrainingState(self.model, build_optimizer(self.model, options, self.precision.dtype), stream, average)

    def _with_batch_tokens(self, earlier: int | None) -> TrainingConfig:
        """Return the options with a number of tokens per micro-batch; `auto` keeps that of a resumed run."""
        options, seed = self.options, self.config.seed
        if options.batch_tokens != "auto":
            return options
        tokens = earlier or self.ranks.on_main(
            lambda: choose_batch_tokens(
                self.model, self.corpus, options, self.precision.dtype, seed, self.ranks.world_size, _say
            )
        )
        return options.model_copy(update={"batch_tokens": tokens})


def _say(line: str) -> None:
    TrainingProgress(0, 1, is_shown=True).say(line)


def _ignore(line: str) -> None:
    """Show nothing: the lines of rank 0 are enough."""
