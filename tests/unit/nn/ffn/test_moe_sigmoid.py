"""ffn=moe_sigmoid, against DeepSeek-V3's layer in Hugging Face."""

import torch
from transformers.models.deepseek_v3.configuration_deepseek_v3 import DeepseekV3Config
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MoE

from lightning_transformer.nn.activation.swiglu import SwiGLU
from lightning_transformer.nn.ffn.moe_sigmoid import MoESigmoid
from tests.conftest import noise

D, E = 16, 8


def test_equals_hugging_face() -> None:
    mine = MoESigmoid(
        D, activation=SwiGLU, n_experts=E, top_k=3, n_shared=2, hidden_mult=1.5, scale=2.5
    ).double()
    for number, parameter in enumerate(mine.parameters()):
        parameter.data = 0.5 * noise(*parameter.shape, seed=number)
    steps = torch.tensor([300, -200, 100, 0, 0, -300, 200, 50])
    mine.bias_steps += steps
    config = DeepseekV3Config(
        hidden_size=D,
        moe_intermediate_size=mine.experts.down.shape[-1],
        n_routed_experts=E,
        n_shared_experts=2,
        num_experts_per_tok=3,
        n_group=1,
        topk_group=1,
        norm_topk_prob=True,
        routed_scaling_factor=2.5,
    )
    theirs = DeepseekV3MoE(config).double()
    theirs.gate.weight.data = mine.router.weight.data
    theirs.gate.e_score_correction_bias.copy_(0.001 * steps)
    theirs.experts.gate_up_proj.data = mine.experts.up.data
    theirs.experts.down_proj.data = mine.experts.down.data
    names = ("gate_proj", "up_proj", "down_proj")
    layers = (*mine.shared.up, mine.shared.down)
    for name, layer in zip(names, layers, strict=True):
        getattr(theirs.shared_experts, name).weight.data = layer.weight.data
    x = noise(3, 7, D)
    # They route in float32.
    torch.testing.assert_close(mine(x), theirs(x), rtol=0, atol=1e-5)
    mine.bias_steps.zero_()
    assert float((mine(x) - theirs(x)).detach().abs().max()) > 0.1


def test_shares_in_the_auxiliary_loss_add_up_to_one() -> None:
    layer = MoESigmoid(D, activation=SwiGLU, n_experts=E, top_k=E, aux_loss=1.0)
    real = torch.ones(2, 4, dtype=torch.bool)
    layer.record_routings()
    layer.router.weight.data = noise(E, D).float()
    layer.experts.up.data.zero_()
    layer.experts.down.data.zero_()
    layer(noise(2, 4, D).float())
    (seen,) = layer.take_routings()
    # Every expert is chosen by all: E sum_e (1 / E) P_e = 1.
    cost = float(layer.auxiliary(seen, real, layer.load(seen, real)))
    assert abs(cost - 1) < 1e-5
