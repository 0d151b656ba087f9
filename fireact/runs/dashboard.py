"""A dashboard that a run shows itself on while it goes: Weights & Biases, or none.

Losses and rates come through ``log``, as they do for every logger; configuration, scores, trajectories, the adapter
and a grid's table through the other methods. The one module that imports wandb, and only when a run is opened.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from fireact.errors import ConfigError
from fireact.ranges import Seconds, Text
from fireact.runs.redaction import without_secrets
from fireact.runs.run_folders import is_first_rank
from fireact.trajectories.dialogue import step_text
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage.digests import digest

log = logging.getLogger(__name__)
_PATIENCE_S = 90.0  # until W&B has taken a run
COLUMNS = ("question", "gold", "answer", "right", "ending", "rounds", "method", "task", "search", "trajectory")


class Table(Protocol):
    """What a grid ends in: a header, rows of cells and the notes that belong under them."""

    @property
    def title(self) -> str: ...
    @property
    def header(self) -> Sequence[str]: ...
    @property
    def rows(self) -> Sequence[Sequence[str]]: ...
    @property
    def notes(self) -> Sequence[str]: ...


@runtime_checkable
class Dashboard(Protocol):
    """What a run tells; ``open`` comes first, ``close`` last."""

    def open(self, config: Mapping[str, Any], job: str) -> None:
        """Begin, or go on with, the run of this configuration; ``job`` is train, evaluate or report."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """What was measured at an optimizer step."""

    def tuned(self, metrics: Mapping[str, Any], adapter: Path) -> None:
        """What ``train.py`` leaves: its metrics and the folder of the adapter."""

    def evaluated(self, metrics: Mapping[str, Any], trajectories: Iterable[Trajectory], name: str = "") -> None:
        """What ``evaluate.py`` leaves; ``name`` tells several evaluations of one run apart."""

    def table(self, table: Table) -> None:
        """The final table of a grid."""

    def close(self, failed: bool = False) -> None:
        """End the run and wait until everything is kept."""


class Silent:
    """No dashboard."""

    def open(self, config: Mapping[str, Any], job: str) -> None: ...
    def log(self, metrics: Mapping[str, float], step: int) -> None: ...
    def tuned(self, metrics: Mapping[str, Any], adapter: Path) -> None: ...
    def evaluated(self, metrics: Mapping[str, Any], trajectories: Iterable[Trajectory], name: str = "") -> None: ...
    def table(self, table: Table) -> None: ...
    def close(self, failed: bool = False) -> None: ...


@contextmanager
def opened(logger: object, config: Mapping[str, Any], job: str) -> Iterator[Dashboard]:
    """The dashboard that ``logger`` is, open for the length of a block; a Silent one if it is none.

    Raises:
        ConfigError: the dashboard can't be used.
    """
    dashboard = logger if isinstance(logger, Dashboard) else Silent()
    dashboard.open(config, job)
    try:
        yield dashboard
    except BaseException:
        dashboard.close(failed=True)
        raise
    dashboard.close()


class WandbRun:
    """A run on Weights & Biases; the same folder goes on with the same run. Only the first rank talks to it.

    Once open, whatever W&B fails at is said once and costs the run nothing but its dashboard.

    Args:
        folder: the run folder. Its name is the run's name; its file ``logs/wandb_id`` holds the run's id.
        entity: the user or team; None for the key's own.
        group: the experiment; None groups runs by their job.
        offline: write to ``folder/wandb`` only, for ``wandb sync``.
        upload_adapter: keep the adapter's folder as an artifact.
        timeout_s: for what is not uploaded yet when the run ends; ``wandb sync`` uploads the rest.
    """

    def __init__(
        self,
        folder: Text | Path,
        project: Text = "fireact",
        entity: Text | None = None,
        group: Text | None = None,
        offline: bool = False,
        upload_adapter: bool = True,
        timeout_s: Seconds = 600.0,
    ) -> None:
        self._folder, self._project, self._entity, self._group = Path(folder), project, entity, group
        self._offline, self._upload_adapter, self._timeout_s = offline, upload_adapter, timeout_s
        self._run: Any = None

    def ready(self) -> None:
        """Look for what it needs, and tell W&B nothing yet.

        Raises:
            ConfigError: wandb is not installed, or there is no key.
        """
        _require_key(_wandb(), self._offline)

    def open(self, config: Mapping[str, Any], job: str) -> None:
        """Connect to W&B.

        Raises:
            ConfigError: wandb is not installed, there is no key, or W&B refuses the run.
        """
        if not is_first_rank():
            return
        wandb = _wandb()
        _require_key(wandb, self._offline)
        try:
            self._run = wandb.init(
                project=self._project, entity=self._entity, group=self._group or job, job_type=job,
                name=_short(self._folder.name, 128), id=self._id(), resume="allow", reinit="create_new",
                dir=self._folder.resolve(), mode="offline" if self._offline else None, config=without_secrets(config),
                settings=wandb.Settings(
                    silent=True, console="off", init_timeout=_PATIENCE_S, finish_timeout=self._timeout_s,
                    finish_timeout_raises=True,
                ),
            )  # fmt: skip
        except wandb.Error as error:
            raise ConfigError(
                f"W&B refuses the run ({_first_line(error)}); check the key and the network, or add logger.offline=true"
            ) from error
        self._send(lambda run: (run.define_metric("step"), run.define_metric("*", step_metric="step")))
        log.info(f"W&B: {self._run.settings.sync_dir if self._offline else self._run.url}")

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        # A resumed run repeats steps, which W&B's own counter would refuse.
        self._send(lambda run: run.log({**metrics, "step": step}))

    def tuned(self, metrics: Mapping[str, Any], adapter: Path) -> None:
        self._send(lambda run: run.summary.update({f"tuning/{key}": value for key, value in metrics.items()}))
        if self._upload_adapter:
            self._send(lambda run: run.log_artifact(_artifact(self._folder.name, metrics, adapter)))

    def evaluated(self, metrics: Mapping[str, Any], trajectories: Iterable[Trajectory], name: str = "") -> None:
        prefix, rows = f"{name}/" if name else "", [row(trajectory) for trajectory in trajectories]
        self._send(lambda run: run.summary.update({f"{prefix}{key}": value for key, value in metrics.items()}))
        self._send(lambda run: run.log({f"{prefix}trajectories": _wandb().Table(columns=[*COLUMNS], data=rows)}))

    def table(self, table: Table) -> None:
        rows = [[*row] for row in table.rows]
        self._send(lambda run: run.log({table.title: _wandb().Table(columns=[*table.header], data=rows)}))
        self._send(lambda run: setattr(run, "notes", "\n".join([table.title, *table.notes])))

    def close(self, failed: bool = False) -> None:
        self._send(lambda run: run.finish(exit_code=int(failed)))
        self._run = None

    def _id(self) -> str:
        """The folder's own id, made when first needed, unless the agent of a W&B sweep has chosen one."""
        if agents := os.environ.get("WANDB_RUN_ID"):
            return agents
        path = self._folder / "logs" / "wandb_id"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(uuid.uuid4().hex[:8], encoding="utf-8")
        return path.read_text(encoding="utf-8")

    def _send(self, action: Callable[[Any], object]) -> None:
        """Do something with the run, if it is open, and give it up where that fails."""
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:  # a tuning costs more than its dashboard, whatever is wrong with that
            log.warning(f"W&B failed ({_first_line(error)}); the run goes on without it, and {self._folder} has it all")
            self._run = None


def row(trajectory: Trajectory) -> list[str | bool | int]:
    """A trajectory as a row of ``COLUMNS``, its whole text in the last."""
    question, steps = trajectory.question, trajectory.steps
    turns = [step_text(step) + (f"\nObservation: {step.observation}" if step.observation else "") for step in steps]
    return [
        question.prompt(), question.answer, trajectory.answer, trajectory.score.correct, trajectory.ending.value,
        trajectory.rounds, trajectory.method, question.task, trajectory.provenance.get("search", ""), "\n".join(turns),
    ]  # fmt: skip


def _wandb() -> Any:
    try:
        import wandb
    except ImportError:
        raise ConfigError("logger=wandb needs the extra: pip install fireact[wandb]") from None
    return wandb


def _require_key(wandb: Any, offline: bool) -> None:
    """Look for a key before W&B would ask for one on a terminal that nobody may be watching."""
    online = not offline and os.environ.get("WANDB_MODE", "online") == "online"
    if online and not wandb.login(prompt=False, verify=False):
        raise ConfigError("W&B has no key; run wandb login, set WANDB_API_KEY, or add logger.offline=true")


def _artifact(name: str, metrics: Mapping[str, Any], folder: Path) -> Any:
    """The adapter's folder, which nobody changes any more, so W&B need not copy it first."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    digests = {file: digest(path) for file, path in files.items()}
    safe = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)
    artifact = _wandb().Artifact(f"{_short(safe, 120)}-adapter", type="model", metadata={**metrics, "sha256": digests})
    for file, path in files.items():
        artifact.add_file(str(path), name=file, policy="immutable")
    return artifact


def _short(name: str, longest: int) -> str:
    """``name`` within W&B's limits, still unlike any other."""
    return name if len(name) <= longest else f"{name[: longest - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
