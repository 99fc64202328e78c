"""Attention as one would explain it, one query of one head of one row after the other."""

import math

import torch
from torch import Tensor


def attention_by_rows(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """softmax(q k^T / sqrt(K) + bias) v over the keys where mask is True; nothing seen gives 0.

    Shapes: q (B, H, T, K), k and v (B, G, S, K), mask and bias broadcast to (B, H, T, S).
    """
    n_rows, n_heads, n_queries, width = q.shape
    full = (n_rows, n_heads, n_queries, k.shape[2])
    seen = torch.ones(full, dtype=torch.bool) if mask is None else mask.expand(full)
    added = torch.zeros(full, dtype=q.dtype) if bias is None else bias.expand(full)
    out = torch.zeros(n_rows, n_heads, n_queries, v.shape[-1], dtype=q.dtype)
    for b in range(n_rows):
        for h in range(n_heads):
            group = h // (n_heads // k.shape[1])
            for t in range(n_queries):
                scores = {
                    s: float(q[b, h, t] @ k[b, group, s]) / width**0.5 + float(added[b, h, t, s])
                    for s in range(k.shape[2])
                    if seen[b, h, t, s]
                }
                weights = {s: math.exp(score) for s, score in scores.items()}
                for s, weight in weights.items():
                    out[b, h, t] += weight / sum(weights.values()) * v[b, group, s]
    return out
