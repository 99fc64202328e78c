"""Warm-up, a stable phase, then a straight decay at the end."""

from dataclasses import dataclass

from lightning_transformer.optim.schedule.decay import DecayAtEnd


@dataclass(frozen=True)
class WSD(DecayAtEnd):
    """Hold the factor at 1 after a linear warm-up and decay on a straight line at the end.

    ``1 - (1 - min_ratio) * i / decay_steps`` in step i of the decay, from 0.

    Source: Hu et al. 2024 (warmup-stable-decay), with the linear decay of Hägele et al. 2024.
    """
