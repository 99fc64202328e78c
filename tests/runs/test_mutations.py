"""Random mutations of single keys: each trains a step with a finite loss, or is refused by name."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build, build_model, refusing
from lightning_transformer.config.validate import check
from lightning_transformer.data.examples import Pair, Tokens
from lightning_transformer.data.loading.train_loader import check_batch_size
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch
from lightning_transformer.training.loggers.lifecycle import make_loggers
from lightning_transformer.training.preflight.build import check_build
from tests.conftest import LABELS, compose_config, options

TINY = ("data.seq_len=16", "data.batch_size=4", "model.d_model=32", "trainer=cpu", "logger=none")
KINDS = {
    "decoder_only": ("model.n_layers=1",),
    "encoder_only": ("model=encoder_only", "model.n_layers=1"),
    "encoder_decoder": (
        "model=encoder_decoder",
        "model.n_encoder_layers=1",
        "model.n_decoder_layers=1",
    ),
}
VALUES: list[Any] = [-1, 0, 1, 3, 7, 10**6, 10**9, 10**18, 10**30, -0.5, 0.5, 1.0, 2.5, 1e-30, 1e30]
VALUES += [float("nan"), float("inf"), float("-inf"), "", "abc", None, True, False, [], [1, 2], {}]
GROUPS = ("norm", "activation", "position", "pattern", "residual", "init", "loss", "schedule")
GROUPS += ("optimizer", "attention", "ffn", "block", "kernel", "qk_norm", "embedding")
SECONDS = 60  # a mutation that takes longer hangs
MOST_PARAMS = 20_000_000  # a larger model is built without memory, and not trained


def keys(node: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of the values of a configuration, those of other groups once."""
    for name in node:
        key = f"{prefix}{name}"
        if OmegaConf.is_interpolation(node, name) or str(name).startswith("_"):
            continue
        value = node[name]
        if isinstance(value, DictConfig):
            yield from keys(value, f"{key}.")
        elif prefix:
            yield key


def mutated(kind: str, draw: random.Random) -> tuple[str, DictConfig]:
    """A configuration in which one key has another value, or one group another option."""
    cfg = compose_config(*TINY, *KINDS[kind])
    if draw.random() < 0.2:
        group = draw.choice(GROUPS)
        option = draw.choice(options(group))
        try:
            return f"{group}={option}", compose_config(*TINY, *KINDS[kind], f"{group}={option}")
        except ConfigError:
            return "", cfg
    key = draw.choice([k for k in keys(cfg) if k.split(".")[0] not in ("callbacks", "hydra")])
    value = draw.choice(VALUES)
    OmegaConf.update(cfg, key, value, merge=False)
    return f"{key}={value}", cfg


def train_a_step(cfg: DictConfig, folder: Any) -> float:
    """What a run does up to its first update, on made-up data; the loss after it.

    Of a model that is too large to be quick, what a run does before it draws the weights.
    """
    check(cfg, {})
    data = build(cfg, "data")
    check_build(cfg, data, {})
    make_loggers(cfg, folder)
    with refusing(cfg, "trainer"):
        trainer = build(cfg, "trainer").to_lightning(
            folder=folder, logger=[], callbacks=[], wide=False
        )
    try:
        share = trainer.accumulate_grad_batches, trainer.world_size
        check_batch_size(data.batch_size, 1000, *share)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    parts = {"vocabulary": ByteVocabulary(), "labels": LABELS, "seed": int(cfg.seed)}
    with torch.device("meta"):
        n_params = sum(weight.numel() for weight in build_model(cfg, **parts).parameters())
    if n_params > MOST_PARAMS:
        return 0.0
    model = build_model(cfg, **parts)
    batch = batch_of(model)
    optimizer = model.make_optimizer(model)
    for _ in range(2):
        sums = model.task(model(batch), batch)
        loss = sums.objective / batch.n_targets.clamp(min=1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss)


def batch_of(model: Transformer) -> Batch:
    """Two rows of random bytes, as the model's task has them."""
    draw = np.random.default_rng(0)
    row = lambda n: draw.integers(0, 256, n).astype(np.int32)  # noqa: E731
    kind = model.task.example
    examples = [Pair(row(6), row(5)) if kind is Pair else Tokens(row(9)) for _ in range(2)]
    return model.task.collator("train")(examples, [1, 2])


def hangs(signum: int, frame: Any) -> None:
    raise AssertionError("it hangs")


def try_out(numbers: range, folder: Any) -> list[str]:
    """The faults that these mutations show."""
    faults = []
    before = signal.signal(signal.SIGALRM, hangs)
    for number in numbers:
        draw = random.Random(number)
        kind = draw.choice(list(KINDS))
        name, cfg = mutated(kind, draw)
        torch.manual_seed(0)
        signal.alarm(SECONDS)
        try:
            loss = train_a_step(cfg, folder)
            # Steps that are far too large do not have to stay finite; the guard stops them.
            if not torch.tensor(loss).isfinite() and not name.startswith(("optimizer", "init")):
                faults.append(f"{number} {kind} {name}: loss {loss}")
        except ConfigError as error:
            last = name.split("=")[0].rpartition(".")[2]
            # More ranks than examples: the step is what does not fit, and says so.
            named = last in str(error) or (
                last in ("devices", "num_nodes") and "ranks" in str(error)
            )
            if "\n" in str(error) or not named:
                faults.append(f"{number} {kind} {name}: unclear: {error}")
        except Exception as error:
            faults.append(f"{number} {kind} {name}: {type(error).__name__}: {str(error)[:150]}")
        finally:
            signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    return faults


def test_sixty_mutations_train_or_are_refused(tmp_path):
    assert try_out(range(60), tmp_path) == []


@pytest.mark.thorough
def test_two_hundred_mutations_train_or_are_refused(tmp_path):
    assert try_out(range(60, 260), tmp_path) == []
