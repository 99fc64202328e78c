"""Shared by the tests of schedules."""

from __future__ import annotations

from lightning_transformer.optim.schedule.base import Schedule


def factors(schedule: Schedule, total_steps: int) -> list[float]:
    """Of all steps of a run."""
    return [schedule(step, total_steps) for step in range(total_steps)]
