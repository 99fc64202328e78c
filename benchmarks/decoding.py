"""What a new token costs, with a cache, beside peers with a model of the same shape.

    python -m benchmarks generate [--against transformers,litgpt] [--batches 1,16] [--rounds 3]
        [--tokens 256] [--json FILE]

Shape (b) of `shapes.py`, random weights: a prompt of 16 tokens and as many new ones as --tokens,
drawn from the 50 likeliest. All in one process, in turns, CPU time, one thread. ours and ours bf16
(the same weights in bfloat16) by `decode_steps`; transformers by GPT2LMHeadModel.generate; litgpt
by its GPT with set_kv_cache and its `sample`. Printed are tokens per CPU second, medians over
rounds, and the ratio of peer to ours within a round [least .. most]: above 1 we are ahead.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.__main__ import processor
from benchmarks.peer_loop import make
from benchmarks.shapes import SHAPES, Shape
from lightning_transformer.build import build_model
from lightning_transformer.config.compose import composed, composer, register
from lightning_transformer.data.tokenizers.characters import CharacterVocabulary
from lightning_transformer.decoding.decode import decode_steps
from lightning_transformer.decoding.sampler import make_sampler
from lightning_transformer.decoding.sampling import Sampling

PROMPT, TOP_K = 16, 50
Decode = Callable[[int, int], None]  # rows, new tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", default="transformers")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    peers = args.against.split(",")
    for name in peers:
        if name not in ("transformers", "litgpt"):
            parser.error(f"--against={name} is none of transformers, litgpt")
        if not find_spec(name):
            parser.error(f"--against={name} is not installed; pip install --no-deps {name}")
    torch.set_num_threads(1)
    register()
    shape = SHAPES["b"]
    contenders = {"ours": ours(shape, torch.float32), "ours bf16": ours(shape, torch.bfloat16)}
    contenders |= {
        name: {"transformers": hugging_face, "litgpt": litgpt}[name](shape) for name in peers
    }
    print(f"{processor()}, one thread, {args.rounds} rounds, {args.tokens} new tokens")
    record: dict[str, dict[str, list[float]]] = {}
    for n_rows in map(int, args.batches.split(",")):
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(args.rounds + 1):
            for name, decode in contenders.items():
                start = time.process_time()
                decode(n_rows, args.tokens)
                if number:  # the first round warms up
                    found[name].append(time.process_time() - start)
        record[str(n_rows)] = found
        for name, seconds in found.items():
            rate = n_rows * args.tokens / median(seconds)
            ratios = [s / own for s, own in zip(seconds, found["ours"], strict=True)]
            spread = f"{median(ratios):.2f} [{min(ratios):.2f} .. {max(ratios):.2f}]"
            print(f"batch {n_rows:3} {name:14} {rate:8.0f} tokens/s  {spread}", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"processor": processor(), "seconds": record}, indent=2))


def ours(s: Shape, dtype: torch.dtype) -> Decode:
    with composer():
        cfg = composed(
            (
                "preset=gpt2",
                f"model.n_layers={s.n_layers}",
                f"model.d_model={s.d_model}",
                f"attention.n_heads={s.n_heads}",
                f"data.seq_len={s.seq_len + PROMPT}",
            )
        )
    words = CharacterVocabulary("".join(chr(48 + i) for i in range(s.vocab_size)))
    model = build_model(cfg, vocabulary=words, labels=[], seed=1).eval().to(dtype)

    def decode(n_rows: int, n: int) -> None:
        rows = [np.arange(PROMPT) for _ in range(n_rows)]
        draw = make_sampler(Sampling(1.0, TOP_K), range(n_rows))
        no_end = words.eos_id

        def sampler(scores: torch.Tensor) -> torch.Tensor:
            scores[:, no_end] = -torch.inf  # rows go on to the last token, as those of peers
            return draw(scores)

        assert sum(1 for _ in decode_steps(model, rows, max_new_tokens=n, sampler=sampler)) == n

    return decode


def hugging_face(s: Shape) -> Decode:
    from dataclasses import replace

    model: Any = make("transformers", replace(s, seq_len=s.seq_len + PROMPT)).eval()

    def decode(n_rows: int, n: int) -> None:
        ids = torch.arange(PROMPT).repeat(n_rows, 1)
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=n,
            min_new_tokens=n,
            do_sample=True,
            top_k=TOP_K,
            use_cache=True,
            pad_token_id=0,
        )

    return decode


def litgpt(s: Shape) -> Decode:
    from litgpt.generate.base import sample
    from litgpt.model import GPT, Config

    config = Config(
        block_size=s.seq_len + PROMPT,
        n_layer=s.n_layers,
        n_head=s.n_heads,
        n_embd=s.d_model,
        padded_vocab_size=s.n_classes,
        parallel_residual=False,
    )
    model = GPT(config).eval()

    @torch.no_grad()
    def decode(n_rows: int, n: int) -> None:
        model.clear_kv_cache()
        model.set_kv_cache(batch_size=n_rows, max_seq_length=PROMPT + n)
        ids, place = torch.arange(PROMPT).repeat(n_rows, 1), torch.arange(PROMPT)
        for _ in range(n):
            scores = model(ids, place)
            new = [sample(row[None], top_k=TOP_K) for row in scores]
            ids, place = torch.stack(new), place[-1:] + 1

    return decode


if __name__ == "__main__":
    main()
