"""Lightning's view of a dashboard: a logger that hands on what is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only


class MetricSink(Protocol):
    """What measurements are told to, such as a dashboard."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """What was measured at an optimizer step."""


class DashboardLogger(Logger):
    """Sends the metrics of every optimizer step to an open dashboard."""

    name, version = "dashboard", ""

    def __init__(self, dashboard: MetricSink) -> None:
        self._dashboard = dashboard

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The dashboard was opened with the whole configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._dashboard.log(metrics, step or 0)
