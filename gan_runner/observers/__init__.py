"""Observers: what looks at a running run.

Each is called after every step with the `Moment`, in the order of the configuration: first those that measure and draw,
which add to the moment; then those that write down what the moment holds, wherever they stand.
"""

from gan_runner.observers.base import Moment, Observer
from gan_runner.observers.checkpoints import Checkpoints
from gan_runner.observers.collapse import Collapse
from gan_runner.observers.console import Console
from gan_runner.observers.encodings import Attributes, Interpolations, LatentSpace, Reconstructions
from gan_runner.observers.evaluation import Evaluation
from gan_runner.observers.metrics_file import MetricsFile
from gan_runner.observers.neighbours import Neighbours
from gan_runner.observers.progress import Progress
from gan_runner.observers.samples import Samples
from gan_runner.observers.scalars import Scalars
from gan_runner.observers.trajectory import Trajectory
from gan_runner.observers.traversals import Traversals
from gan_runner.observers.weights_and_biases import WeightsAndBiases

__all__ = [
    "Attributes",
    "Checkpoints",
    "Collapse",
    "Console",
    "Evaluation",
    "Interpolations",
    "LatentSpace",
    "MetricsFile",
    "Moment",
    "Neighbours",
    "Observer",
    "Progress",
    "Reconstructions",
    "Samples",
    "Scalars",
    "Trajectory",
    "Traversals",
    "WeightsAndBiases",
]
