"""Checks of a run before its first step: directory, kernels, data, tokenizer, memory, and two real steps."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch
from tqdm import tqdm

from translator.checkpoint import newest_checkpoint
from translator.config import Config, TrainingConfig
from translator.data.cleaning import aligned
from translator.data.corpus import Corpus
from translator.data.examples import Examples
from translator.data.survey import Finding, SourceSurvey, expected_languages
from translator.errors import UserError, shorten
from translator.file_input import expand_user
from translator.kernels.self_test import run_self_test
from translator.ranks import Rank
from translator.tokenizer import Tokenizers
from translator.tokenizer.coverage import measure_coverage
from translator.training.data_check import check_data
from translator.training.initialization import with_earlier_alignment
from translator.training.memory import (
    available_memory,
    current_memory,
    format_bytes,
    is_out_of_memory,
    peak_memory,
    reset_peak_memory,
)
from translator.training.memory_forecast import MemoryForecast, forecast_memory
from translator.training.parallel import Ranks
from translator.training.precision import choose_precision
from translator.training.reporters import check_reporters
from translator.training.setup import (
    Setup,
    check_attention,
    check_directory,
    head_dims,
    prepare_corpus,
    prepare_tokenizers,
)
from translator.training.trainer import Trainer

P = ParamSpec("P")
T = TypeVar("T")
Say = Callable[[str], None]

_MAX_UNKNOWN = 0.01  # fraction of characters without a piece that needs no warning
_MAX_FERTILITY = 4.0  # tokens per word; more suggests a vocabulary of another language
_STEPS = 2


def check(config: Config, show: Say, say: Say) -> list[Finding]:
    """Check a run and show a report. Nothing is written to its directory.

    Cleaned and tokenized text goes to the cache, where training finds it.

    Args:
        config: configuration of the run.
        show: function that shows a line of the report.
        say: function that shows progress.

    Returns:
        The faults that were found.
    """
    checker = _Checker(config, show, say)
    has_model = checker.inherit_alignment()
    checker.check_directory()
    checker.check_kernels()
    surveys = checker.check_data()
    if surveys is not None and has_model:
        with tempfile.TemporaryDirectory(prefix="translator-check-") as folder:
            checker.check_model(surveys, Path(folder))
    return checker.findings


class _Checker:
    """The checks of one configuration, in the order in which they run.

    Args:
        config: configuration of the run.
        show: function that shows a line of the report.
        say: function that shows progress.
    """

    def __init__(self, config: Config, show: Say, say: Say) -> None:
        self.findings: list[Finding] = []
        self._config = config
        self._data, self._form = config.data, config.form
        self._show, self._say = show, say
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._has_kernels = False

    def inherit_alignment(self) -> bool:
        """Take the alignment head of the earlier model, as training does; return True if it can be read."""
        run, ranks = expand_user(self._config.output), Ranks(0, 1, self._device)
        config = self._try(with_earlier_alignment, self._config, run, ranks, self._say)
        self._config = config or self._config
        return config is not None

    def check_directory(self) -> None:
        """Check that the run directory can be written and contains no other run."""
        run = expand_user(self._config.output)
        existing = next(path for path in (run, *run.absolute().parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            self._problem(f"output must be a writable directory. Received: {run}. Choose another output.")
        else:
            self._try(check_directory, run, self._config, allow_config_change=False)
        self._try(check_reporters, self._config.training.report_to)
        found = self._try(newest_checkpoint, run)
        self._show(f"output      {run}: {f'resumes from {found[0].name}' if found else 'a new run'}")

    def check_kernels(self) -> None:
        """Compare the kernels with the reference on the device of training."""
        memory = available_memory(self._device)
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "CPU"
        threads = f", {torch.get_num_threads()} threads" if self._device.type == "cpu" else ""
        available = f", {format_bytes(memory)} available" if memory is not None else ""
        self._show(f"device      {name}{threads}{available}")
        model, training = self._config.model, self._config.training
        found = len(self.findings)
        self._try(check_attention, model, self._device)
        if len(self.findings) > found:
            return
        precision = choose_precision(
            training.precision, self._device, None, lambda line: self._show(f"            {line}")
        )
        results = run_self_test(self._device, precision.dtype, sorted(head_dims(model)), model.attention, model.d_model)
        failed = [result for result in results if not result.has_passed]
        for result in failed:
            reason = shorten(result.failure or f"its error is {result.error:.3g} times the allowed error")
            remedy = "Set model.attention=sdpa" if result.is_attention else "Train on another device"
            self._problem(
                f"kernel: {result.name} in {precision.name} differs from the reference: {reason}. "
                f"{remedy}, and report this."
            )
        self._has_kernels = not failed
        self._show(f"kernels     {len(results) - len(failed)} of {len(results)} agree with the reference")

    def check_data(self) -> list[SourceSurvey] | None:
        """Survey all sources; return the surveys, or None if the training text cannot be read."""
        report = check_data(self._config, self._say)
        self.findings += report.findings
        for line in report.lines(self._config):
            self._show(line)
        return report.surveys if report.is_readable else None

    def check_model(self, surveys: Sequence[SourceSurvey], folder: Path) -> None:
        """Check tokenizer, corpus, memory and two steps.

        Args:
            surveys: surveys of the sources, whose samples are tokenized.
            folder: empty directory for the tokenizer, if the run has none yet.
        """
        run = expand_user(self._config.output)
        directory = run if Tokenizers.exist(run) else folder
        tokenizers = self._try(prepare_tokenizers, directory, self._config, self._say)
        if tokenizers is None:
            return
        self._check_tokenizers(tokenizers, surveys)
        corpus = self._try(prepare_corpus, self._config, tokenizers, self._say)
        if corpus is None:
            return
        ranks = Ranks(0, 1, self._device)
        try:
            trainer = self._try(Trainer, self._config, folder, ranks, Setup(tokenizers, corpus), is_shown=False)
            if trainer is not None and self._has_kernels:  # a step with a wrong kernel may raise or crash
                self._check_steps(trainer, corpus)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._problem(_too_large(self._config.training))

    def _check_tokenizers(self, tokenizers: Tokenizers, surveys: Sequence[SourceSurvey]) -> None:
        """Measure the tokenizers on the samples of the survey."""
        languages = expected_languages(self._data) if self._form == "pairs" else ("text",)
        rows = [["tokenizer", "pieces", "used", "tokens/word", "characters/token", "unknown characters"]]
        for part in dict.fromkeys(survey.part for survey in surveys):
            sample = [row for survey in surveys if survey.part == part for row in survey.sample]
            for side, (language, tokenizer) in enumerate(
                zip(languages, (tokenizers.source, tokenizers.target), strict=False)
            ):
                coverage = measure_coverage(tokenizer, [row[side] for row in sample])
                unknown = f"{coverage.unknown_fraction:.2%} {' '.join(map(shorten, coverage.unknown))}".rstrip()
                name = f"{part} {language}"
                numbers = [f"{tokenizer.vocab_size:,}", f"{coverage.used_fraction:.0%}"]
                numbers += [f"{coverage.fertility:.2f}", f"{coverage.characters_per_token:.2f}"]
                rows.append([name, *numbers, unknown])
                if coverage.unknown_fraction > _MAX_UNKNOWN:
                    self._warn(
                        f"tokenizer: {coverage.unknown_fraction:.1%} of the characters of data.{part} ({language}) "
                        f"have no piece: {' '.join(map(shorten, coverage.unknown))}. Raise "
                        "tokenizer.character_coverage, or add such text to data.train."
                    )
                if coverage.fertility > _MAX_FERTILITY and language != "text":
                    self._warn(
                        f"tokenizer: {coverage.fertility:.1f} tokens per word of data.{part} ({language}). Raise "
                        "tokenizer.vocab_size, or add such text to data.train."
                    )
        self._show("\n".join(aligned(rows)))

    def _check_steps(self, trainer: Trainer, corpus: Examples) -> None:
        """Predict memory, take two steps if it suffices, and show memory and time."""
        options = trainer.options
        parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
        self._show(f"model       {parameters:,} parameters")
        limit = available_memory(self._device)
        if limit is not None:
            limit += current_memory(self._device) or 0
        forecast = forecast_memory(trainer.model, corpus, options, trainer.precision.dtype, self._config.seed, limit)
        if forecast is not None:
            self._show(f"memory      {_described(forecast, options)}")
            if limit is not None and forecast.total > limit:
                self._problem(_too_large(options, forecast.total, limit))
                return
        can_measure = reset_peak_memory(self._device)
        for _ in range(_STEPS):
            started = time.perf_counter()
            totals = trainer.step().totals()  # synchronizes with the device
            seconds = time.perf_counter() - started
            if not totals.is_finite:
                self._problem(
                    f"training: loss {totals.loss / max(1, totals.tokens):.4g} and gradient norm {totals.norm:.4g} of "
                    "a first step must be finite. Lower training.learning_rate, or check training.start_from."
                )
        peak = peak_memory(self._device) if can_measure else None
        if peak is not None:
            self._show(f"            {format_bytes(peak)} measured in {_STEPS} steps")
        self._show(f"time        {self._time(corpus, options, totals.tokens, seconds)}")

    def _time(self, corpus: Examples, options: TrainingConfig, tokens: int, seconds: float) -> str:
        """Describe steps per epoch, and the time of the run at the rate of one step."""
        assert options.batch_tokens != "auto"
        world_size = Rank.of_environment().world_size
        step_tokens = options.step_tokens or options.batch_tokens * options.accumulation * world_size
        amount = _amount(corpus, options.max_steps, step_tokens)
        return (
            f"{amount} and take {tqdm.format_interval(seconds * options.max_steps)} without validation, at "
            f"{tokens / seconds:,.0f} target tokens/s"
        )

    def _try(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | None:
        """Call a function; a UserError becomes a problem, and the result is None."""
        try:
            return work(*arguments, **options)
        except UserError as error:
            if not any(each.text.endswith(str(error)) for each in self.findings):  # as that of a source
                self._problem(str(error))
            return None

    def _problem(self, text: str) -> None:
        self.findings.append(Finding(text, True))

    def _warn(self, text: str) -> None:
        self.findings.append(Finding(text, False))


def _amount(corpus: Examples, steps: int, step_tokens: int) -> str:
    """Describe how much of the training data some steps read."""
    if isinstance(corpus, Corpus):
        per_epoch = steps_per_epoch(corpus, step_tokens)
        return f"{per_epoch:,.0f} steps per epoch; {steps:,} steps are {steps / per_epoch:.3g} epochs"
    length = corpus.mean_target_length * (corpus.length_ratio if corpus.objective.reads_batch_tokens else 1)
    return f"{steps:,} steps read about {steps * step_tokens / length:,.0f} examples of the streams"


def steps_per_epoch(corpus: Corpus, step_tokens: int) -> float:
    """Return the number of optimizer steps in which each example is used as often as the weight of its source.

    Args:
        corpus: training corpus.
        step_tokens: tokens per optimizer step, of the side that `training.batch_tokens` counts.
    """
    counts = [stop - start for start, stop in zip(corpus.bounds, corpus.bounds[1:], strict=False)]
    examples = sum(count * weight for count, weight in zip(counts, corpus.weights, strict=True))
    length = corpus.mean_target_length
    if corpus.objective.reads_batch_tokens:
        length *= corpus.length_ratio
    return examples * length / step_tokens


def _described(forecast: MemoryForecast, options: TrainingConfig) -> str:
    parts = {
        "process": forecast.base,
        "weights": forecast.weights,
        "optimizer": forecast.optimizer,
        "step": forecast.step,
    }
    listed = ", ".join(f"{name} {format_bytes(size)}" for name, size in parts.items() if size)
    return f"{format_bytes(forecast.total)} predicted at training.batch_tokens={options.batch_tokens}: {listed}"


def _too_large(options: TrainingConfig, wanted: int | None = None, limit: int | None = None) -> str:
    advice = "Lower it" if options.step_tokens else "Lower it, raise training.accumulation in proportion"
    amounts = f" of {format_bytes(wanted)}, and {format_bytes(limit)} are available" if wanted and limit else ""
    return (
        f"training.batch_tokens={options.batch_tokens} does not fit into memory: a step needs more than there "
        f"is{amounts}. {advice}, or use a smaller model."
    )
