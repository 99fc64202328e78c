"""Step time of layers that carry a state, beside softmax attention, as the row grows.

    python benchmarks/mixers.py [--rounds 5] [--lengths 256 1024 4096] [--d-model 128]

One layer alone, forward and backward, float32, as many tokens at each length; all are timed in turn
in each round. Printed are medians of the ratio to mha with kernel=sdpa within one round, so that
what else the machine does falls out.
"""

import argparse
import statistics
import time
from functools import partial
from typing import Any

import torch

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.recurrent.gated_deltanet import GatedDeltaNet
from lightning_transformer.nn.recurrent.linear import LinearAttention
from lightning_transformer.nn.recurrent.mamba2 import Mamba2

KINDS = {
    "mha": partial(MultiHeadAttention, kernel=SDPA(), qk_norm=NoNorm),
    "linear": LinearAttention,
    "mamba2": Mamba2,
    "gated_deltanet": GatedDeltaNet,
}
TOKENS = 8192  # of a step, at least one row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--d-model", type=int, default=128)
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    layers = {name: made(kind, args.d_model, device) for name, kind in KINDS.items()}
    print(f"{device}, d_model={args.d_model}, {TOKENS} tokens a step, {args.rounds} rounds")
    print(f"{'T':>6} {'mha ms':>8} " + " ".join(f"{name:>15}" for name in list(KINDS)[1:]))
    for length in args.lengths:
        x = torch.randn(max(1, TOKENS // length), length, args.d_model, device=device)
        rounds = [
            {name: seconds(layer, x) for name, layer in layers.items()}
            for _ in range(args.rounds + 1)
        ][1:]  # the first one warms up
        alone = statistics.median(times["mha"] for times in rounds)
        ratios = [
            statistics.median(times[name] / times["mha"] for times in rounds)
            for name in list(KINDS)[1:]
        ]
        print(f"{length:6} {1e3 * alone:8.1f} " + " ".join(f"{ratio:15.2f}" for ratio in ratios))


def made(kind: Any, d_model: int, device: str) -> Any:
    """A layer with initial weights."""
    layer = kind(d_model)
    initialise(layer, Normal(), 0)
    return layer.to(device)


def seconds(layer: Any, x: torch.Tensor) -> float:
    """Of one forward and backward pass."""
    wait = torch.cuda.synchronize if x.is_cuda else int
    wait()
    begun = time.perf_counter()
    layer(x, AttentionContext(is_causal=True)).sum().backward()
    wait()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
