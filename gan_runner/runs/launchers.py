"""Adapt Hydra's launchers to runs that resume: time limits on SLURM, killed jobs, the number of tasks."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from gan_runner.config.compose import change_defaults
from gan_runner.errors import ConfigError

MAX_TIMEOUTS = 1000
"""How often SLURM may requeue a job whose time was over. Every time it resumes from its last checkpoint, so no step is
lost. The plugin's default is never, and submitit counts any job of up to ten minutes that is preempted as timed out."""


def requeue_on_slurm() -> None:
    """Let `hydra/launcher=submitit_slurm` requeue jobs whose time is over, unless the user sets `max_num_timeout`."""
    Plugins.instance()  # registers the launchers that are installed
    if "submitit_slurm.yaml" in ConfigStore.instance().list("hydra/launcher"):
        change_defaults("hydra/launcher", "submitit_slurm", {"max_num_timeout": MAX_TIMEOUTS})


def prepare_launcher(launcher: DictConfig) -> None:
    """Check the options of a sweep's launcher, and let submitit wait for all jobs.

    Raises:
        ConfigError: several tasks would train the same run.
    """
    for key in ("tasks_per_node", "nodes"):
        if launcher.get(key, 1) != 1:
            raise ConfigError(
                f"hydra.launcher.{key}={launcher[key]} would start every run of the sweep {launcher[key]} times in the "
                "same directory; leave it at 1, or start a single run of several processes by torchrun"
            )
    if find_spec("submitit"):
        wait_for_all_jobs()


def wait_for_all_jobs() -> None:
    """Let submitit return NaN for a job that was killed, instead of raising an error while other jobs continue."""
    import submitit
    from submitit.core.utils import FailedJobError, UncompletedJobError

    job_class: Any = submitit.Job
    results = job_class.results

    def results_or_nan(job: Any) -> list[Any]:
        try:
            return list(results(job))
        except (FailedJobError, UncompletedJobError):
            return [JobReturn(_return_value=math.nan, status=JobStatus.COMPLETED)]

    if results.__name__ != results_or_nan.__name__:
        job_class.results = results_or_nan
