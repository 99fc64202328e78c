"""Multi-head, grouped-query and multi-query attention (Vaswani et al. 2017)."""

from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import Kernel, ScoreMods
from lightning_transformer.nn.cache import KVCache
from lightning_transformer.nn.heads import head_width, join_heads, split_heads
from lightning_transformer.nn.linear import QueryKey, ResidualOut
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.types import NormFactory


class MultiHeadAttention(nn.Module):
    """Softmax attention over several heads (Vaswani et al. 2017), self or cross.

    MHA has a key/value head per query head; GQA shares each among n_heads / n_kv_heads query heads
    (Ainslie et al. 2023); MQA has one (Shazeer 2019). qk_norm is applied to each head's queries and
    keys before rotation (Henry et al. 2020), or to those of all heads together, before they
    are split (Team OLMo 2024).

        q heads   1 2 3 4      1 2 3 4      1 2 3 4
                  | | | |      \\ / \\ /      \\ \\ / /
        kv heads  1 2 3 4       1   2          1
                  MHA           GQA            MQA

    Variants change how values are made, how scores become weights, or how heads are joined: the
    three methods at the end.

    scale: of the scores, q k^T scale; null = 1 / sqrt(head_dim).
    Shape: x (B, T, D) -> (B, T, D); with memory (B, S, D) keys and values come from there.
    """

    has_scores = True  # to which a pattern, a rotation or a bias can apply
    past_only = False  # counts back from a query: no query may see what comes after it
    own_positions = False  # made of queries and keys, which no rotation may turn then
    needs: frozenset[str] = frozenset()  # fields of `ScoreMods` that the kernel must support
    score_mods: ScoreMods | None = None

    def __init__(
        self,
        dim: int,
        *,
        kernel: Kernel,
        qk_norm: NormFactory,
        n_heads: int = 4,
        n_kv_heads: int = 4,
        head_dim: int | None = None,
        scale: float | None = None,
        bias: bool = False,
        dropout: float = 0.0,
        qk_norm_per_head: bool = True,
    ) -> None:
        super().__init__()
        checks.at_least("n_heads", n_heads, 1)
        checks.at_least("n_kv_heads", n_kv_heads, 1)
        checks.fraction("dropout", dropout)
        if n_heads % n_kv_heads:
            divisors = ", ".join(str(n) for n in range(1, n_heads + 1) if n_heads % n == 0)
            raise ValueError(
                f"attention.n_kv_heads={n_kv_heads} must divide attention.n_heads={n_heads}: "
                f"one of {divisors}"
            )
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.head_dim = head_width(dim, n_heads) if head_dim is None else head_dim
        checks.at_least("head_dim", self.head_dim, 1)
        if scale is not None:
            checks.positive("scale", scale, 0.125)
        self.scale = scale
        self.q = QueryKey(dim, n_heads * self.head_dim, bias=bias)
        self.k = QueryKey(dim, n_kv_heads * self.head_dim, bias=bias)
        self.v = nn.Linear(dim, n_kv_heads * self.head_dim, bias=bias)
        self.out = ResidualOut(n_heads * self.head_dim, dim, bias=bias)
        self.qk_norm_per_head = qk_norm_per_head
        n_q, n_k = (1, 1) if qk_norm_per_head else (n_heads, n_kv_heads)
        self.q_norm, self.k_norm = qk_norm(n_q * self.head_dim), qk_norm(n_k * self.head_dim)
        if not qk_norm_per_head and isinstance(self.q_norm, NoNorm):
            raise ValueError(
                "attention.qk_norm_per_head=false has nothing to act on with qk_norm=none; "
                "use qk_norm=rmsnorm, or leave it out"
            )
        self.kernel, self.dropout = kernel, dropout

    def forward(
        self,
        x: Tensor,
        context: AttentionContext,
        memory: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        mixed = context.after_projection
        q = context.rotate(self._normed(mixed("q", self.q(x)), self.q_norm))
        if self.scale is not None:
            q = q * (self.scale * self.head_dim**0.5)  # kernels divide by the root
        if memory is not None and cache is not None and cache.length:
            k, v = cache.view()  # the source does not change while decoding
        else:
            source = x if memory is None else memory
            k = context.rotated_keys(self._normed(mixed("k", self.k(source)), self.k_norm))
            v = self.values(source, context)
            if cache is not None:
                k, v = cache.append(k, v)
        return self.join(self.attend(q, k, v, context), x)

    @property
    def takes_windows(self) -> bool:
        """Whether it attends by `AttentionContext.windows`: as this class does, by its kernel."""
        own = type(self)
        plain = (own.forward, own.attend) == (MultiHeadAttention.forward, MultiHeadAttention.attend)
        return plain and self.score_mods is None and getattr(self.kernel, "takes_windows", False)

    def flops(self, keys: float) -> float:
        """Of scores and weighted sum, for one query."""
        return 4 * self.n_heads * self.head_dim * keys

    def new_cache(self, capacity: int) -> KVCache:
        """An empty cache for decoding up to `capacity` tokens."""
        return KVCache(capacity)

    def values(self, source: Tensor, context: AttentionContext) -> Tensor:
        """(B, S, D) -> (B, G, S, K)."""
        return split_heads(context.after_projection("v", self.v(source)), self.head_dim)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        """q (B, H, T, K), k and v (B, G, S, K) -> (B, H, T, K)."""
        dropout = self.dropout if self.training else 0.0
        return self.kernel(q, k, v, context, dropout, self.score_mods)

    def join(self, y: Tensor, x: Tensor) -> Tensor:
        """Heads (B, H, T, K) and the layer's input (B, T, D) -> (B, T, D)."""
        return self.out(join_heads(y))

    def _normed(self, x: Tensor, norm: nn.Module) -> Tensor:
        if self.qk_norm_per_head:
            # Before heads go in front of places: in memory a head is still in one piece.
            y = norm(x.unflatten(-1, (-1, self.head_dim))).transpose(1, 2)
        else:
            y = split_heads(norm(x), self.head_dim)
        assert isinstance(y, Tensor)
        return y
