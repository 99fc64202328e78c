"""One bug per invariant, to be planted in a copy of the tree by planted_bugs.py."""

from __future__ import annotations

from typing import NamedTuple

PACKAGE = "lightning_transformer"


class Bug(NamedTuple):
    """In a file of the package, `old` becomes `new`; tests called after the invariant must fail."""

    invariant: int
    file: str
    old: str
    new: str

    @property
    def path(self) -> str:
        return f"{PACKAGE}/{self.file}"

    @property
    def label(self) -> str:
        return f"{self.invariant:>2}"

    @property
    def arguments(self) -> list[str]:
        """Of pytest, for the tests that must notice."""
        return ["tests/contracts/invariants", "-k", f"invariant_{self.invariant:02}_", "-m", ""]


BUGS = [
    Bug(
        1,
        "data/loading/train_loader.py",
        "batch._replace(step_targets=step_targets)",
        "batch._replace(step_targets=batch.n_targets * len(batches))",
    ),
    Bug(
        2,
        "models/step_targets.py",
        "total(counted) // n_copies if n_copies else counted",
        "counted * 2 if n_copies else counted",
    ),
    Bug(
        3,
        "tasks/causal_lm.py",
        "labels = pad(rows, IGNORE)[:, 1:]",
        "labels = ids[:, 1:]",
    ),
    Bug(4, "tasks/causal_lm.py", "labels = ids[:, 1:]", "labels = ids[:, :-1]"),
    Bug(5, "nn/pattern/base.py", "keys <= last", "keys <= last + 1"),
    Bug(
        6,
        "nn/attention/kernels/eager.py",
        "mask = context.mask",
        "mask = None if context.mask is None else ~context.mask",
    ),
    Bug(
        7,
        "nn/attention/kernels/eager.py",
        "_softmax(floor, score_mods.sinks).masked_fill(~mask, 0.0)",
        "_softmax(floor, score_mods.sinks)",
    ),
    Bug(
        8,
        "nn/attention/kernels/eager.py",
        "(q @ k.mT).to(torch.promote_types(q.dtype, torch.float32))",
        "q @ k.mT",
    ),
    Bug(
        9,
        "nn/document_positions.py",
        "((~padding).long().cumsum(dim=1) - 1).clamp(min=0)",
        "places.expand_as(padding)",
    ),
    Bug(10, "nn/position/rope.py", "x.chunk(2, dim=-1)", "x[..., ::2], x[..., 1::2]"),
    Bug(
        11,
        "nn/position/rope.py",
        "torch.cat((a * cos - b * sin, a * sin + b * cos)",
        "torch.cat((a * cos - b * sin, a * sin - b * cos)",
    ),
    Bug(
        12,
        "nn/position/rope.py",
        "positions[..., None].to(exact)",
        "positions[..., None].bfloat16()",
    ),
    Bug(
        13,
        "nn/position/alibi.py",
        "range(1, 2 * lower, 2)",
        "range(2, 2 * lower + 2, 2)",
    ),
    Bug(
        14,
        "nn/attention/kernels/eager.py",
        "k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)",
        "k.repeat(1, groups, 1, 1), v.repeat(1, groups, 1, 1)",
    ),
    Bug(
        15,
        "optim/param_groups.py",
        "roles[parameter].decays or",
        "roles[parameter] is not Role.FACTOR or",
    ),
    Bug(
        16,
        "tasks/token_task.py",
        "head.weight = embedding.weight",
        "head.weight.data = embedding.weight.data.clone()",
    ),
    Bug(
        17,
        "nn/stack.py",
        "positions(positions[..., past:], n_new))",
        "positions(positions[..., past:] - past, n_new))",
    ),
    Bug(
        18,
        "nn/attention/multi_head.py",
        "self.dropout if self.training else 0.0",
        "self.dropout",
    ),
    Bug(
        19,
        "models/base.py",
        "features = self(batch)\n",
        "features = self.train()(batch)\n",
    ),
    Bug(
        20,
        "nn/loss/cross_entropy.py",
        'reduction="sum", label_smoothing',
        'reduction="mean", label_smoothing',
    ),
    Bug(21, "nn/loss/cross_entropy.py", "squared[labels != -100].sum()", "squared.sum()"),
    Bug(22, "models/base.py", '"interval": "step"', '"interval": "epoch"'),
    Bug(
        23,
        "training/trainer.py",
        "max_steps=self.max_steps,\n",
        "max_steps=self.max_steps // self.accumulate,\n",
    ),
    Bug(
        24,
        "models/base.py",
        "self._clipping.clip(gradient_clip_val, self.grad_norm)",
        "self._clipping.clip(gradient_clip_val, self.grad_norm)\n"
        "            self.grad_norm = self._clipping.norm(self)",
    ),
    Bug(
        25,
        "tasks/base.py",
        'update(metrics, "loss", nll, batch.n_targets)',
        'update(metrics, "loss", nll / batch.n_targets, 1)',
    ),
    Bug(
        26,
        "data/loading/eval_loader.py",
        "self.rows = range(self.rank, n_examples, self.world_size)",
        "n = n_examples\n"
        "        filled_up = -(-n // self.world_size) * self.world_size\n"
        "        self.rows = [i % n for i in range(self.rank, filled_up, self.world_size)]",
    ),
    Bug(
        27,
        "tasks/causal_lm.py",
        "sizes = self.id_bytes[labels.clamp(min=0)] * (labels != IGNORE)",
        "sizes = (labels != IGNORE).long()",
    ),
    Bug(
        28,
        "nn/stack.py",
        "documents[:, None, :, None] == documents",
        "documents[:, None, :, None] >= documents",
    ),
    Bug(
        29,
        "data/packing/rows.py",
        'numbers = np.searchsorted(self.ends, places, side="right")',
        'numbers = np.searchsorted(self.ends, places, side="left")',
    ),
    Bug(
        30,
        "data/loading/permutation.py",
        "Philox(key=[seed, epoch])).permutation(n)",
        "Philox(key=[seed, 0])).permutation(n)",
    ),
    Bug(
        31,
        "data/loading/train_loader.py",
        "for value in (epochs, indices):",
        "for value in (indices, indices):",
    ),
    Bug(32, "data/tokenizers/bpe.py", "add_prefix_space=False", "add_prefix_space=True"),
    Bug(
        33,
        "tasks/seq2seq.py",
        "texts, expected = list(map(decode, outputs)), list(map(decode, targets))",
        "texts, expected = (\n"
        "            [' '.join(map(str, ids)) for ids in side] for side in (outputs, targets)\n"
        "        )",
    ),
    Bug(
        34,
        "tasks/masked_lm.py",
        "(kind >= 0.8) & (kind < 0.9)",
        "(kind >= 0.8) & (kind < 0.95)",
    ),
    Bug(
        35,
        "tasks/seq2seq.py",
        "np.insert(e.target, 0, self.bos_id)",
        "np.insert(e.target, 0, self.eos_id)",
    ),
    Bug(
        36,
        "decoding/sampler.py",
        "left[..., 1:].masked_fill_(reached[..., :-1] >= p",
        "left.masked_fill_(reached >= p",
    ),
    Bug(
        37,
        "nn/init/base.py",
        "scheme.head(weight, generator)",
        "weight.normal_(generator=generator)",
    ),
    Bug(
        38,
        "nn/ffn/dense.py",
        "2 * hidden_mult * dim / (n_inputs + 1)",
        "hidden_mult * dim",
    ),
    Bug(
        39,
        "nn/loss/cross_entropy.py",
        "scores if scores.dtype == torch.float64 else scores.float()",
        "scores",
    ),
    Bug(
        40,
        "nn/attention/kernels/sdpa.py",
        "run, dtype = _sdpa, v.dtype",
        "run, dtype = _sdpa, v.dtype\n"
        "        q = q * (1.01 if torch.compiler.is_compiling() else 1.0)",
    ),
    Bug(
        41,
        "nn/stack.py",
        "use_reentrant=False",
        "use_reentrant=False, preserve_rng_state=False",
    ),
    Bug(
        42,
        "training/callbacks/ema.py",
        'if trainer.state.fn == "fit":  # elsewhere',
        "if True:  # elsewhere",
    ),
    Bug(
        43,
        "data/loading/train_loader.py",
        "given = (self.seed, self.batch_size",
        "given = (self.seed + self.accumulate, self.batch_size",
    ),
    Bug(44, "nn/activation/swiglu.py", "F.silu(gate) * up", "F.silu(gate) * up.detach()"),
]
