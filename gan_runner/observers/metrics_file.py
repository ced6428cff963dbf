"""`metrics.jsonl`: the logged values, one JSON object per line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gan_runner.observers.base import Observer
from gan_runner.runs.event import StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


@dataclass
class MetricsFile(Observer):
    """Appends the values of each event to `metrics.jsonl`, with the same keys as in W&B."""

    writes = True

    def start(self, run: Run) -> None:
        """Open the file to append to it."""
        self.file = run.directory.metrics.open("a", encoding="utf-8")

    def __call__(self, event: StepEvent) -> None:
        """Write a line if the event has values; NaN and infinity become null, since JSON does not have them."""
        if event.scalars:
            finite = {key: value if math.isfinite(value) else None for key, value in event.scalars.items()}
            self.file.write(json.dumps({"step": event.step, **finite}) + "\n")
            self.file.flush()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Close the file."""
        self.file.close()
