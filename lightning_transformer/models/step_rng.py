"""Random numbers of a training step that depend on nothing but where the step is in the run."""

import torch

from lightning_transformer.nn.seeds import seed_of


def seed_step(seed: int, *, step: int, micro: int, rank: int, device: torch.device) -> None:
    """Seed torch for one micro-batch: a function of (seed, step, micro-batch, data rank).

    So a resumed run draws what an undisturbed one does. Processes that share the layers of one
    model have the same data rank, and draw the same.
    """
    number = seed_of(f"{seed} {step} {micro} {rank}")
    # Not torch.manual_seed: it seeds every kind of device there may be, and for those that are
    # not in use it writes down a stack trace, half a millisecond at each step.
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(number)
