"""The final decay of a run, for schedules that define it as a fraction of all steps."""

from lightning_transformer.nn import checks


def check_decay_fraction(decay_fraction: float, example: str) -> None:
    """Refuse anything outside 0 < decay_fraction <= 1."""
    checks.positive("schedule.decay_fraction", decay_fraction, example)
    checks.closed_fraction("schedule.decay_fraction", decay_fraction, example)


def n_decay_steps(decay_fraction: float, total_steps: int) -> int:
    """Return how many of the last optimizer steps belong to the decay, at least 1."""
    return max(1, round(decay_fraction * total_steps))


def check_tail(warmup_steps: int, decay_fraction: float, total_steps: int) -> None:
    """Refuse a run in which warm-up and decay would overlap."""
    decay = n_decay_steps(decay_fraction, total_steps)
    if warmup_steps + decay > total_steps:
        raise ValueError(
            f"schedule.warmup_steps={warmup_steps} and the {decay} steps of "
            f"schedule.decay_fraction={decay_fraction} exceed "
            f"trainer.max_steps={total_steps}; try warmup_steps={total_steps - decay}"
        )
