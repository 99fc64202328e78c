"""A training loop of a GPT-2 model: what `python -m benchmarks` holds our command against.

    python benchmarks/peer_loop.py MODEL SHAPE STEPS TOKENS.npy PRECISION

MODEL: bare = a model in plain torch, no more code than is needed; transformers = its
GPT2LMHeadModel; nanogpt=PATH = the model and the optimizer of a clone of karpathy/nanoGPT, in the
loop of its train.py, which computes in float32 on a CPU whatever PRECISION is; trainer =
GPT2LMHeadModel in the Trainer of transformers. Random rows of the file, AdamW (fused, but for
nanoGPT and Trainer, which take torch's choice), gradients clipped to norm 1, no dropout, tied
weights; PRECISION bf16 = autocast.
"""

import sys
import tempfile
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers import NANOGPT
from benchmarks.shapes import SHAPES, Shape


class Block(nn.Module):
    def __init__(self, d: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(self.norm1(x)).unflatten(-1, (3, self.n_heads, -1))
        q, k, v = heads.transpose(1, 3).unbind(2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Bare(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.table = nn.Embedding(s.n_classes, s.d_model)
        self.places = nn.Embedding(s.seq_len, s.d_model)
        self.blocks = nn.Sequential(*(Block(s.d_model, s.n_heads) for _ in range(s.n_layers)))
        self.norm = nn.LayerNorm(s.d_model)
        for weight in (p for p in self.parameters() if p.ndim > 1):
            nn.init.normal_(weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids) + self.places.weight
        return F.linear(self.norm(self.blocks(x)), self.table.weight)


def make(name: str, s: Shape) -> nn.Module:
    if name == "bare":
        return Bare(s)
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=s.n_classes,
        n_positions=s.seq_len,
        n_embd=s.d_model,
        n_layer=s.n_layers,
        n_head=s.n_heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
    )
    return GPT2LMHeadModel(config)


def drawn(tokens: Tensor, s: Shape) -> Tensor:
    """(B, T + 1) random rows."""
    starts = torch.randint(0, len(tokens) - s.seq_len - 1, (s.batch_size,)).tolist()
    return torch.stack([tokens[i : i + s.seq_len + 1] for i in starts])


def train_nanogpt(folder: str, s: Shape, steps: int, tokens: Tensor) -> None:
    """nanoGPT's train.py without its evaluation, its log and its checkpoints."""
    sys.path.insert(0, folder)
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    config = GPTConfig(
        block_size=s.seq_len,
        vocab_size=s.n_classes,
        n_layer=s.n_layers,
        n_head=s.n_heads,
        n_embd=s.d_model,
        dropout=0.0,
        bias=True,
    )
    model = GPT(config)
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.95), "cpu")
    for _ in range(steps):
        rows = drawn(tokens, s)
        _, loss = model(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


class Rows(torch.utils.data.Dataset):
    """As many random rows as are asked for, for Trainer: it shifts the labels by itself."""

    def __init__(self, tokens: Tensor, s: Shape, n: int) -> None:
        self.tokens, self.width = tokens, s.seq_len
        self.starts = torch.randint(0, len(tokens) - s.seq_len - 1, (n,)).tolist()

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        row = self.tokens[self.starts[index] : self.starts[index] + self.width]
        return {"input_ids": row, "labels": row}


def train_hugging_face(s: Shape, steps: int, tokens: Tensor, precision: str) -> None:
    """Trainer of transformers, with logs, checkpoints and progress off."""
    from transformers import Trainer, TrainingArguments

    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=s.batch_size,
            learning_rate=1e-3,
            max_grad_norm=1.0,
            bf16=precision == "bf16",
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        data: Any = Rows(tokens, s, steps * s.batch_size)
        Trainer(make("transformers", s), options, train_dataset=data).train()


def train(name: str, s: Shape, steps: int, tokens: Tensor, precision: str) -> None:
    """The plainest loop."""
    model = make(name, s)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for _ in range(steps):
        rows = drawn(tokens, s)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            found = model(rows[:, :-1])
            scores = found if isinstance(found, Tensor) else found.logits
            loss = F.cross_entropy(scores.flatten(0, 1).float(), rows[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def main(name: str, shape: str, steps: str, file: str, precision: str) -> None:
    s, tokens = SHAPES[shape], torch.from_numpy(np.load(file).astype(np.int64))
    torch.set_num_threads(1)
    torch.manual_seed(1)
    if name.startswith(NANOGPT):
        train_nanogpt(name.removeprefix(NANOGPT), s, int(steps), tokens)
    elif name == "trainer":
        train_hugging_face(s, int(steps), tokens, precision)
    else:
        train(name, s, int(steps), tokens, precision)


if __name__ == "__main__":
    main(*sys.argv[1:])
