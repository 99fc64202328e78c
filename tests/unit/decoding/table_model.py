"""A model of four tokens whose next one depends on the last two: small enough to enumerate."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

END = 3  # the end token; 0, 1 and 2 are text


class TableCache:
    """The tokens themselves (B, T), under the contract of StackCache."""

    def __init__(self) -> None:
        self.ids: Tensor | None = None

    @property
    def length(self) -> int:
        return 0 if self.ids is None else self.ids.shape[1]

    def reorder(self, rows: Tensor) -> None:
        assert self.ids is not None
        self.ids = self.ids[rows]

    def expand(self, rows: Tensor) -> None:
        self.reorder(rows)

    def check_rewind(self) -> None:
        pass

    def rewind(self, n: int) -> None:
        assert self.ids is not None
        self.ids = self.ids[:, : self.ids.shape[1] - n]


class TableModel:
    """Scores (4, 4, 4) of the next token after two others, normal with seed."""

    max_len, slides, has_source = 100, False, False
    device = torch.device("cpu")

    def __init__(self, seed: int, spread: float = 1.5) -> None:
        random = torch.Generator().manual_seed(seed)
        self.table = spread * torch.randn(4, 4, 4, generator=random, dtype=torch.float64)
        vocabulary = SimpleNamespace(
            size=4,
            n_text=3,
            eos_id=END,
            special_ids=np.array([END]),
            decode=lambda ids: "".join("abc"[i] for i in ids if i != END),
            token_text=lambda i: "abc"[i],
        )
        self.task: Any = SimpleNamespace(
            head=lambda x: x, vocabulary=vocabulary, writes_marks=False, reads_prefix=False
        )

    def begin(self, rows: Any) -> tuple[Any, Tensor, None]:
        cache = TableCache()
        state = SimpleNamespace(cache=cache, expand=cache.expand)
        return state, torch.from_numpy(np.stack(rows)), None

    def decode(self, ids: Tensor, state: Any, padding: Tensor | None) -> Tensor:
        cache = state.cache
        known = ids if cache.ids is None else torch.cat((cache.ids, ids), dim=1)
        cache.ids = known
        before = torch.cat((known[:, :1], known[:, :-1]), dim=1)
        return self.table[before, known][:, -ids.shape[1] :]

    def logprob(self, prompt: list[int], text: tuple[int, ...]) -> float:
        """log p(text | prompt), token by token."""
        known, total = list(prompt), 0.0
        for token in text:
            last_two = known[-2] if len(known) > 1 else known[-1], known[-1]
            total += float(self.table[last_two].log_softmax(-1)[token])
            known.append(token)
        return total
