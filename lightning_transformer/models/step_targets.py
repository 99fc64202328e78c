"""The number of targets of an optimizer step, which its loss is divided by."""

from collections.abc import Callable

from torch import Tensor


class StepTargets:
    """Targets of the current optimizer step over all processes, and how many steps had none.

    Both stay on the device, so that nothing waits for it.
    """

    def __init__(self) -> None:
        self._of_step: Tensor | None = None
        self._idle: Tensor | None = None

    def begin(self, counted: Tensor, total: Callable[[Tensor], Tensor], n_copies: int) -> Tensor:
        """The targets of a step that begins, at least 1.

        counted: those of this process. total: sums over all processes, of which n_copies have
        read the same rows and counted the same.
        """
        n_targets = total(counted) // n_copies if n_copies else counted
        self._of_step = n_targets.clamp(min=1)
        idle = self._of_step - n_targets  # 1 if there is no target
        self._idle = idle if self._idle is None else self._idle + idle
        return self._of_step

    @property
    def of_step(self) -> Tensor | None:
        """Those of the step that has begun; None before the first."""
        return self._of_step

    def take_idle(self) -> int:
        """Optimizer steps without a target since last asked. Waits for the device."""
        n_steps = 0 if self._idle is None else int(self._idle)
        self._idle = None
        return n_steps
