"""Numbers of parameters and FLOPs, against the closed forms."""

import pytest

from lightning_transformer.models.size import measure
from tests.conftest import tiny

V, D, L, T = 262, 32, 2, 16
HIDDEN = 128
PLAIN = (
    "norm=rmsnorm",
    "qk_norm=none",
    "activation=gelu",
    "position=rope",
    "tie_embeddings=false",
)
LAYER = 4 * D * D + 2 * D * HIDDEN


def test_parameters_of_a_decoder() -> None:
    size = measure(tiny(*PLAIN), T)
    norms = (2 * L + 1) * D
    assert size.n_params == 2 * V * D + L * LAYER + norms
    assert size.n_params_non_embedding == size.n_params - V * D


def test_tied_weights_count_once() -> None:
    size = measure(tiny(*PLAIN[:-1], "tie_embeddings=true"), T)
    assert size.n_params == V * D + L * LAYER + (2 * L + 1) * D
    assert size.n_params_non_embedding == size.n_params - V * D


def test_learned_positions_are_embeddings() -> None:
    plain, learned = (measure(tiny(*PLAIN, f"position={p}"), T) for p in ("rope", "learned"))
    assert learned.n_params - plain.n_params == T * D
    assert learned.n_params_non_embedding == plain.n_params_non_embedding


@pytest.mark.parametrize(
    ("overrides", "keys"),
    [
        ((), (T + 1) / 2),  # a query of a causal model sees half of the row, and itself
        (("model=encoder_only",), T),
        (("pattern=sliding_window", "pattern.window=4"), (1 + 2 + 3 + 4 * (T - 3)) / T),
    ],
)
def test_flops_per_token(overrides: tuple[str, ...], keys: float) -> None:
    forward = L * (2 * LAYER + 4 * D * keys) + 2 * V * D
    size = measure(tiny(*PLAIN, *overrides), T)
    assert size.flops_per_token == pytest.approx(3 * forward, rel=1e-9)


def test_flops_of_an_encoder_decoder() -> None:
    encoder = L * (2 * LAYER + 4 * D * T)
    cross = 2 * 4 * D * D + 4 * D * T
    decoder = L * (2 * LAYER + 4 * D * (T + 1) / 2 + cross) + 2 * V * D
    size = measure(tiny(*PLAIN, "model=encoder_decoder"), T)
    assert size.flops_per_token == pytest.approx(3 * (encoder + decoder) / 2, rel=1e-9)
