"""MLflow: its own local store, or the one that a person's MLFLOW_TRACKING_URI names."""

import hashlib
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from vaecli.loggers.base import Points, default_of, missing

try:
    with default_of("MLFLOW_DISABLE_TELEMETRY", "true"):
        from mlflow import MlflowClient
        from mlflow.entities import Metric
except ImportError:
    raise missing("mlflow") from None

_EXPERIMENT, _FOLDER = "vaecli", "vaecli.folder"


class MLflow:
    """Curves, pictures and settings of a run of the experiment ``vaecli``, which a run that goes on finds by its folder.

    Args:
        folder: the run's, whose name is the run's.
        settings: of the run.
        step: the steps that are done.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], step: int) -> None:
        self._client, self._points = MlflowClient(), Points()
        self.told = f"Logging to MLflow, {re.sub('//[^/]*@', '//', self._client.tracking_uri)}"  # without a password
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        experiment = found.experiment_id if found else self._client.create_experiment(_EXPERIMENT)
        place = hashlib.sha256(str(folder.resolve()).encode(errors="surrogatepass")).hexdigest()
        query, newest = f"tags.`{_FOLDER}` = '{place}'", ["attributes.start_time DESC"]
        before = self._client.search_runs([experiment], query, order_by=newest, max_results=1) if step else []
        if before:
            self._id = before[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        self._id = self._client.create_run(experiment, run_name=folder.name, tags={_FOLDER: place}).info.run_id
        for name, value in settings.items():
            self._client.log_param(self._id, name, value)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """As `vaecli.loggers.base.Logger`."""
        now = int(1000 * time.time())
        points = self._points.saved(values, step)
        if points:
            metrics = [Metric(name, value, now, at) for point, at in points for name, value in point.items()]
            for start in range(0, len(metrics), 1000):  # as many as it takes at once
                self._client.log_batch(self._id, metrics=metrics[start : start + 1000])

    def picture(self, name: str, pixels: Tensor, step: int) -> None:
        """As `vaecli.loggers.base.Logger`."""
        self._client.log_image(self._id, pixels.permute(1, 2, 0).numpy(), key=name, step=step)

    def close(self) -> None:
        """As `vaecli.loggers.base.Logger`."""
        self._client.set_terminated(self._id)
