"""What a step of fine-tuning costs with adapters: `python -m benchmarks adapters [--rounds 15]`.

One process, one thread, models in turns on the same batch: forward, backward, AdamW. Printed are
the medians over rounds [least .. most] of CPU time, adapter / all weights, and the bytes of
gradients and of the optimizer per trained parameter.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from lightning_transformer.build import add_adapter, build_model
from lightning_transformer.config.compose import composed, composer
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.base import Batch

SIZE = ("model.d_model=256", "model.n_layers=4", "attention.n_heads=4", "data.seq_len=128")
N_ROWS = 8
KINDS = {
    "all weights": ("adapter=none",),
    "lora, q and v": ("adapter=lora",),
    "lora, all layers": ("adapter=lora", "adapter.targets=[q,k,v,out,up,down]"),
    "prompt": ("adapter=prompt",),
    "prefix": ("adapter=prefix",),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks adapters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=15, help="steps of each that are timed")
    n_rounds = max(1, parser.parse_args().rounds)
    torch.set_num_threads(1)
    steps = {name: step(*typed) for name, typed in KINDS.items()}
    rounds: dict[str, list[float]] = {name: [] for name in KINDS}
    for number in range(n_rounds + 2):  # two to warm up
        for name, (run, _, _) in steps.items():
            began = time.process_time()
            run()
            if number > 1:
                rounds[name].append(time.process_time() - began)
    print(f"{'':18} trained  bytes each  time / all weights")
    for name, (_, n_trained, n_bytes) in steps.items():
        ratios = [a / b for a, b in zip(rounds[name], rounds["all weights"], strict=True)]
        spread = f"{median(ratios):.2f} [{min(ratios):.2f} .. {max(ratios):.2f}]"
        print(f"{name:18} {n_trained:7d}  {n_bytes() / n_trained:10.2f}  {spread}")


def step(*typed: str) -> tuple[Callable[[], None], int, Callable[[], int]]:
    """A training step, the trained parameters, and the bytes beside the weights after a step."""
    with composer():
        cfg: Any = composed([*SIZE, *typed])
    model: Any = build_model(cfg, vocabulary=ByteVocabulary(), labels=[], seed=1)
    add_adapter(cfg, model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    ids = torch.randint(256, (N_ROWS, 128), generator=torch.Generator().manual_seed(0))
    batch = Batch(ids, ids.roll(-1, 1), torch.tensor(ids.numel()), ids.numel())

    def run() -> None:
        model.task(model(batch), batch).objective.backward()
        optimizer.step()
        optimizer.zero_grad()

    def n_bytes() -> int:
        states = [s for p in trained for s in optimizer.state[p].values() if s.ndim]
        return sum(s.numel() * s.element_size() for s in (*states, *trained))  # a gradient as wide

    return run, sum(p.numel() for p in trained), n_bytes


if __name__ == "__main__":
    main()
