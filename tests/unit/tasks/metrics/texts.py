"""Sentences by chance and what a command line says of them, for the scores of generated text."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

WORDS = ["the", "cat", "sat", "on", "a", "Mat", ",", "don't", "U.S.", "3.5", "(so)", "café", "日本"]


def sentences(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Outputs and targets that share words; some outputs are empty."""
    chosen = random.Random(seed)
    targets = [" ".join(chosen.choices(WORDS, k=chosen.randint(1, 14))) for _ in range(n)]
    outputs = []
    for target in targets:
        words = [chosen.choice(WORDS) if chosen.random() < 0.3 else w for w in target.split()]
        if chosen.random() < 0.3:
            words = words[len(words) // 2 :] + words[: len(words) // 2]
        outputs.append(" ".join(words) if chosen.random() < 0.9 else "")
    return outputs, targets


def command_line(outputs: list[str], targets: list[str], metric: str, folder: Path) -> dict:
    """Score and signature as `sacrebleu` prints them."""
    (folder / "out").write_text("".join(f"{x}\n" for x in outputs), encoding="utf-8")
    (folder / "wanted").write_text("".join(f"{x}\n" for x in targets), encoding="utf-8")
    asked = ["wanted", "-i", "out", "-m", metric, "-w", "6", "--format", "json"]
    command = [sys.executable, "-m", "sacrebleu", *asked]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))
