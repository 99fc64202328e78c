"""What the jobs of a sweep came to, wherever a launcher ran them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass(frozen=True)
class JobFailure:
    """What a failed job returns: no number, so that no sweeper takes it for a loss."""

    folder: str  # its name
    error: str  # in one line


def one_line(error: BaseException) -> str:
    """The kind of an error and what it says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class WatchedLauncher(Launcher):
    """Launches as another launcher does, and shows what its jobs returned.

    Jobs may run in other processes and on other machines. What they write says too little: other
    runs may lie in the same folder, and a job may fail before it writes anything.
    """

    def __init__(self, launcher: Launcher, show: Callable[[Sequence[JobReturn]], None]) -> None:
        self.launcher, self.show = launcher, show

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        try:
            returned = self.launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        except KeyboardInterrupt as error:  # jobs in this process have their own answer to it
            raise SystemExit(128 + signal.SIGINT) from error
        except Exception as error:  # the launcher's own: those of jobs are in what it returns
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            name = type(self.launcher).__name__
            print(f"error: {name} failed: {one_line(error)}", file=sys.stderr)
            raise SystemExit(1) from error
        self.show(returned)
        return returned


@contextmanager
def watched_launchers() -> Iterator[None]:
    """Within, callbacks with a method `on_jobs_returned` are called after each batch of jobs.

    Hydra has no such call: its own after a job is made in the process of the job.
    """
    original = Plugins.instantiate_launcher

    def instantiate_launcher(
        plugins: Plugins,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
    ) -> Launcher:
        def show(returned: Sequence[JobReturn]) -> None:
            for callback in hydra_context.callbacks.callbacks:
                if hasattr(callback, "on_jobs_returned"):
                    callback.on_jobs_returned(returned)

        return WatchedLauncher(original(plugins, hydra_context, task_function, config), show)

    Plugins.instantiate_launcher = instantiate_launcher  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Plugins.instantiate_launcher = original  # type: ignore[method-assign]
