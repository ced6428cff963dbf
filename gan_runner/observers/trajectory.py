"""The trajectory of the players of a bilinear game."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gan_runner.observers.base import Periodic
from gan_runner.plots.trajectories import NAME, draw_trajectories, line, read_trajectory, write_trajectory
from gan_runner.runs.event import StepEvent

if TYPE_CHECKING:
    from gan_runner.runs.run import Run


@dataclass
class Trajectory(Periodic):
    """Writes `trajectory.csv` and draws it as `samples/step_*.png`.

    Every step is fetched from the device, which is negligible for such small games.

    Args:
        every: steps between two pictures.
        real: number of real samples for the mean, which is the equilibrium.
    """

    real: int = 2000

    def start(self, run: Run) -> None:
        """Start with the current point, or continue the trajectory of a resumed run up to this step."""
        self.run = run
        self.noise = run.system.noise(1, seed=0)
        self.equilibrium = run.data.real(self.real).double().mean(0)
        path = run.directory.path / NAME
        kept = [row for row in read_trajectory(path) if row[0] <= run.step] if run.step else []
        self.rows = kept or [self.row(run.step)]
        write_trajectory(path, self.rows)
        self.file = path.open("a", encoding="utf-8")

    def row(self, step: int) -> list[float]:
        """Return the step and the coordinates of (x, y) relative to the equilibrium."""
        return [step, *(self.run.system.sample(self.noise)[0].double() - self.equilibrium).tolist()]

    def wants(self, step: int) -> bool:
        """Return True: every step is recorded."""
        return True

    def __call__(self, event: StepEvent) -> None:
        """Record the point, and draw if a picture is due."""
        self.rows.append(self.row(event.step))
        self.file.write(line(self.rows[-1]))
        self.file.flush()
        super().__call__(event)

    def observe(self, event: StepEvent) -> None:
        """Draw the trajectory."""
        path = self.run.directory.samples / f"step_{event.step:07d}.png"
        draw_trajectories(path, {"trajectory": self.rows})
        event.pictures["samples"] = path

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Close the file."""
        self.file.close()
