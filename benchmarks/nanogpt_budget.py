"""The same tokens, two programs: nanoGPT's train.py with the CPU settings of its README, and ours.

    python benchmarks/nanogpt_budget.py --nanogpt CHECKOUT --data FILE [--threads 2]

CHECKOUT is a copy of https://github.com/karpathy/nanoGPT (MIT), which is run, not changed; FILE a
text of about one megabyte. Both train 2000 steps of 12 rows of 64 characters on the first nine
tenths of the file. The loss printed is over the whole last tenth, in rows of 64 that do not
overlap, for both; nanoGPT's own estimate is from 20 random batches. The two run after one another.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

BUDGET = [
    "--device=cpu",
    "--compile=False",
    "--eval_iters=20",
    "--log_interval=500",
    "--block_size=64",
    "--batch_size=12",
    "--n_layer=4",
    "--n_head=4",
    "--n_embd=128",
    "--max_iters=2000",
    "--lr_decay_iters=2000",
    "--dropout=0.0",
]
ROW = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nanogpt", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    env = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        theirs = nanogpt(args.nanogpt.resolve(), args.data, Path(folder), env)
        ours = experiment(args.data.resolve(), Path(folder), env)
    print(
        f"{args.data.name}, {args.threads} threads, 2000 steps x 12 x 64 characters = 1.54 M tokens"
    )
    print(f"{'':32}{'parameters':>12}{'val loss':>10}{'seconds':>9}")
    for name, (n_params, loss, seconds) in {
        "nanoGPT, its README's command": theirs,
        "experiment=nanogpt_cpu": ours,
    }.items():
        print(f"{name:32}{n_params:12,}{loss:10.4f}{seconds:9.1f}")


def nanogpt(
    checkout: Path, data: Path, folder: Path, env: dict[str, str]
) -> tuple[int, float, float]:
    """Parameters, loss over the whole validation part, and seconds of the whole command."""
    text = data.read_text(encoding="utf-8")
    characters = sorted(set(text))
    number = {c: i for i, c in enumerate(characters)}
    ids = np.array([number[c] for c in text], dtype=np.uint16)
    cut = int(0.9 * len(ids))
    home = checkout / "data" / "shakespeare_char"
    ids[:cut].tofile(home / "train.bin")
    ids[cut:].tofile(home / "val.bin")
    with (home / "meta.pkl").open("wb") as file:
        pickle.dump(
            {"vocab_size": len(characters), "itos": dict(enumerate(characters)), "stoi": number},
            file,
        )
    command = [sys.executable, "train.py", "config/train_shakespeare_char.py", *BUDGET]
    start = time.perf_counter()
    out = f"--out_dir={folder / 'nanogpt'}"
    subprocess.run([*command, out], cwd=checkout, env=env, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    # Its own file, written a moment ago by the program above: it holds more than tensors.
    saved = torch.load(folder / "nanogpt" / "ckpt.pt", weights_only=False)
    sys.path.insert(0, str(checkout))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    model = GPT(GPTConfig(**saved["model_args"]))
    model.load_state_dict(saved["model"])
    model.eval()
    rows = torch.from_numpy(ids[cut:].astype(np.int64))
    n = (len(rows) - 1) // ROW
    x, y = rows[: n * ROW].view(n, ROW), rows[1 : n * ROW + 1].view(n, ROW)
    total = 0.0
    with torch.no_grad():
        for i in range(0, n, 256):
            logits, _ = model(x[i : i + 256], y[i : i + 256])
            total += F.cross_entropy(
                logits.flatten(0, 1), y[i : i + 256].flatten(), reduction="sum"
            ).item()
    return sum(p.numel() for p in model.parameters()), total / (n * ROW), seconds


def experiment(data: Path, folder: Path, env: dict[str, str]) -> tuple[int, float, float]:
    """The same of our own program; its validation is over the whole part as it stands."""
    run = folder / "ours"
    command = [sys.executable, "-m", "lightning_transformer", "experiment=nanogpt_cpu"]
    start = time.perf_counter()
    subprocess.run(
        [*command, f"data.path={data}", f"hydra.run.dir={run}"],
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - start
    result = json.loads((run / "result.json").read_text())
    return result["n_params"], result["metrics"]["val/loss"], seconds


if __name__ == "__main__":
    main()
