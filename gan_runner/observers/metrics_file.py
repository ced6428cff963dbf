"""`metrics.jsonl`: what was logged, one JSON object a line."""

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
    """Appends each event's figures, under the keys that W&B gets."""

    writes = True

    def start(self, run: Run) -> None:
        """Go on behind what is there."""
        self.file = run.directory.metrics.open("a", encoding="utf-8")

    def __call__(self, event: StepEvent) -> None:
        """A line, if there is something to say. JSON knows no NaN: what is not finite is null."""
        if event.scalars:
            finite = {key: value if math.isfinite(value) else None for key, value in event.scalars.items()}
            self.file.write(json.dumps({"step": event.step, **finite}) + "\n")
            self.file.flush()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Close the file."""
        self.file.close()
