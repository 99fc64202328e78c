"""residual=reordered."""

import torch
from torch import nn
from transformers.models.olmo2.configuration_olmo2 import Olmo2Config
from transformers.models.olmo2.modeling_olmo2 import Olmo2DecoderLayer

from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.nn.residual.reordered import Reordered
from tests.conftest import noise
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made


def test_formula() -> None:
    x = noise(2, 3, 8)
    assert_near(made(Reordered)(x, f), x + ln(f(x)))


def test_feed_forward_step_of_olmo2() -> None:
    config = Olmo2Config(hidden_size=8, intermediate_size=16, num_attention_heads=2)
    config._attn_implementation = "eager"
    theirs = Olmo2DecoderLayer(config, 0).double().eval()
    theirs.post_attention_layernorm.weight.data.zero_()  # leaves the feed-forward step
    # Theirs computes in float32 whatever it is given.
    theirs.post_feedforward_layernorm = nn.RMSNorm(8, eps=1e-6).double()
    theirs.post_feedforward_layernorm.weight.data.copy_(noise(8, seed=1))
    ours = Reordered(8, norm=RMSNorm).double()
    ours.norm.weight.data.copy_(noise(8, seed=1))
    x = noise(2, 3, 8)
    cos, sin = torch.ones(2, 3, 4).double(), torch.zeros(2, 3, 4).double()
    wanted = theirs(x, attention_mask=None, position_embeddings=(cos, sin))
    assert_near(ours(x, theirs.mlp), wanted)


def test_whether_a_final_norm_is_due() -> None:
    assert Reordered.needs_final_norm is True


def test_dropout() -> None:
    assert_dropout(Reordered)
