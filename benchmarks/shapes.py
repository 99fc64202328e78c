"""The model sizes of the benchmarks, and how our command is asked for one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

N_SPECIAL = 6  # tokens that our vocabulary adds, which peers get too


@dataclass(frozen=True)
class Shape:
    """GPT-2's architecture; batch_size rows of seq_len tokens per step."""

    n_layers: int
    d_model: int
    n_heads: int
    seq_len: int
    batch_size: int
    vocab_size: int

    @property
    def n_classes(self) -> int:
        return self.vocab_size + N_SPECIAL


SHAPES = {
    "tiny": Shape(1, 16, 2, 16, 4, 65),  # to try the benchmarks themselves
    "a": Shape(4, 128, 4, 64, 12, 65),
    "b": Shape(6, 384, 6, 256, 16, 65),
    "c": Shape(6, 512, 8, 512, 4, 32768),
}


def write_data(shape: Shape, folder: Path) -> None:
    """tokens.npy with random ids, and a tokenizer.json of as many words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    random = np.random.default_rng(1)
    n = 40 * shape.batch_size * (shape.seq_len + 1) + 10_000
    np.save(folder / "tokens.npy", random.integers(0, shape.vocab_size, n).astype(np.uint16))
    words = {f"w{i}": i for i in range(shape.vocab_size)}
    Tokenizer(WordLevel(words, unk_token="w0")).save(str(folder / "tokenizer.json"))


def overrides(shape: Shape, steps: int, folder: Path, run: Path, precision: str) -> list[str]:
    """The arguments of our command; one batch of each evaluation, in both lengths alike."""
    return [
        "preset=gpt2",
        "data=tokens",
        "tokenizer=file",
        f"tokenizer.path={folder / 'tokenizer.json'}",
        f"data.path={folder / 'tokens.npy'}",
        f"data.seq_len={shape.seq_len}",
        f"data.batch_size={shape.batch_size}",
        f"data.eval_batch_size={shape.batch_size}",
        f"model.n_layers={shape.n_layers}",
        f"model.d_model={shape.d_model}",
        f"attention.n_heads={shape.n_heads}",
        "optimizer=adamw",
        "trainer=cpu",
        f"trainer.precision={'bf16-mixed' if precision == 'bf16' else '32-true'}",
        f"trainer.max_steps={steps}",
        f"trainer.val_every={steps}",
        "trainer.limit_val_batches=1",
        "trainer.limit_test_batches=1",
        f"hydra.run.dir={run}",
    ]
