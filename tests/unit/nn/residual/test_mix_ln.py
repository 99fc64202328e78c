"""residual=mix_ln."""

import pytest

from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.residual.mix_ln import MixLN
from lightning_transformer.nn.residual.post_norm import PostNorm
from lightning_transformer.nn.residual.pre_norm import PreNorm
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made


@pytest.mark.parametrize(
    ("share", "n_layers", "n_post"),
    [(0.25, 2, 1), (0.25, 4, 1), (0.25, 7, 1), (0.25, 8, 2), (0.25, 12, 3), (0.5, 12, 6)],
)
def test_which_layers_are_which(share: float, n_layers: int, n_post: int) -> None:
    kinds = [type(made(MixLN, LayerInfo(i, n_layers), share=share)) for i in range(n_layers)]
    assert kinds == [PostNorm] * n_post + [PreNorm] * (n_layers - n_post)


def test_formula() -> None:
    x = noise(2, 3, 8)
    assert_near(made(MixLN, LayerInfo(0, 4))(x, f), ln(x + f(x)))
    assert_near(made(MixLN, LayerInfo(1, 4))(x, f), x + f(ln(x)))


def test_a_model_has_the_weights_of_the_plain_ones() -> None:
    mixed, plain = (tiny(f"residual={r}").decoder for r in ("mix_ln", "pre_norm"))
    assert list(mixed.state_dict()) == list(plain.state_dict())
    assert type(mixed.final_norm) is type(plain.final_norm)


def test_refuses_one_layer() -> None:
    with pytest.raises(ValueError, match=r"^residual=mix_ln needs two layers or more"):
        made(MixLN, LayerInfo(0, 1))


def test_refuses_layers_that_share_a_block() -> None:
    with pytest.raises(ValueError, match=r"^residual=mix_ln differs between layers"):
        made(MixLN, LayerInfo(0, 2, n_runs=2))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_refuses_shares_that_mix_nothing(share: float) -> None:
    with pytest.raises(ValueError, match=rf"^share={share} must be"):
        MixLN(8, norm=LayerNorm, share=share)


def test_dropout() -> None:
    assert_dropout(MixLN)
