"""Services that show the metrics of a run: TensorBoard, Weights & Biases and MLflow, each through its own library."""

from __future__ import annotations

import importlib.util
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from translator.atomic_io import atomic_write
from translator.config import Config, Reporting
from translator.errors import UserError, shorten

PROJECT = "translator"  # of a run, unless the environment names another
_MAX_PARAM_LENGTH = 500  # characters of a parameter in MLflow


class ReporterError(UserError):
    """A service that cannot be used."""


class Reporter(Protocol):
    """Destination of the metrics of a run besides `metrics.jsonl`."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of one step."""

    def go_back(self, step: int) -> None:
        """Continue after an earlier step, whose later values are written again."""

    def close(self) -> None:
        """Flush and end."""


def check_reporters(names: Sequence[Reporting]) -> None:
    """Raise ReporterError if a library is missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ReporterError(
                f"training.report_to: {name} requires the library {name}, which is not installed. "
                f"Run `pip install 'translator[{name}]'`, or remove it."
            )


def make_reporters(config: Config, run: Path, step: int) -> list[Reporter]:
    """Return the reporters of `training.report_to`.

    Args:
        config: configuration of the run.
        run: run directory.
        step: step that the run continues from.

    Raises:
        ReporterError: if a library is missing or cannot start.
    """
    check_reporters(config.training.report_to)
    made: list[Reporter] = []
    for name in config.training.report_to:
        match name:
            case "tensorboard":
                made.append(_TensorBoard(run, step))
            case "wandb":
                made.append(_Wandb(run, config))
            case "mlflow":
                made.append(_Mlflow(run, config))
    return made


class _TensorBoard:
    """Event files in the folder `tensorboard` of the run directory; later values of an earlier process are hidden."""

    def __init__(self, run: Path, step: int) -> None:
        self._folder = run / "tensorboard"
        self.go_back(step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def go_back(self, step: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._board = SummaryWriter(str(self._folder), purge_step=step + 1)

    def close(self) -> None:
        self._board.close()


class _Wandb:
    """A run of Weights & Biases. A resumed run continues it.

    The environment decides the rest, as always: WANDB_MODE=offline, WANDB_PROJECT, WANDB_API_KEY.
    """

    def __init__(self, run: Path, config: Config) -> None:
        import wandb

        identity = _stored(run / "wandb_run_id") or secrets.token_hex(4)
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=run.name,
                id=identity,
                resume="allow",
                dir=str(run),
                config=config.model_dump(mode="json"),
                settings=wandb.Settings(console="off"),
            )
        except wandb.errors.Error as error:
            raise ReporterError(
                f"training.report_to: wandb could not start ({shorten(str(error))}). Run `wandb login`, set "
                "WANDB_MODE=offline, or remove it."
            ) from error
        atomic_write(run / "wandb_run_id", identity)
        # By default, the service drops values of steps before the newest.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({"step": step, **values})

    def go_back(self, step: int) -> None:
        pass

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    """A run of MLflow: of the server in MLFLOW_TRACKING_URI, or in the folder `mlruns` of the run directory."""

    def __init__(self, run: Path, config: Config) -> None:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        server = os.environ.get("MLFLOW_TRACKING_URI")
        if not server:  # a database would need more libraries than the extra has
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        try:
            self._client = MlflowClient(server or (run / "mlruns").absolute().as_uri())
            self._id = _stored(run / "mlflow_run_id") or self._new_run(run, config)
            self._client.update_run(self._id, status="RUNNING")
        except MlflowException as error:
            raise ReporterError(
                f"training.report_to: mlflow could not start ({shorten(str(error))}). Check MLFLOW_TRACKING_URI, "
                f"delete {run / 'mlflow_run_id'} to begin another run there, or remove it."
            ) from error

    def _new_run(self, run: Path, config: Config) -> str:
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        identity = str(self._client.create_run(number, run_name=run.name).info.run_id)
        options = _flattened(config.model_dump(mode="json"))
        params = [Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in options.items()]
        self._client.log_batch(identity, params=params)
        atomic_write(run / "mlflow_run_id", identity)
        return identity

    def write(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self._id, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def go_back(self, step: int) -> None:
        pass

    def close(self) -> None:
        self._client.set_terminated(self._id)


def _stored(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
