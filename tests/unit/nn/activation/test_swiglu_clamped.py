"""activation=swiglu_clamped."""

import math

import pytest
import torch
from transformers.models.gpt_oss.configuration_gpt_oss import GptOssConfig
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssExperts

from lightning_transformer.nn.activation.swiglu_clamped import SwiGLUClamped
from tests.conftest import noise


@pytest.mark.parametrize(("limit", "slope"), [(7.0, 1.702), (0.5, 1.0)])
def test_formula_element_by_element(limit: float, slope: float) -> None:
    gate, up = 4 * noise(40, seed=1), 4 * noise(40, seed=2)
    wanted = []
    for g, u in zip(gate.tolist(), up.tolist(), strict=True):
        g, u = min(g, limit), max(-limit, min(u, limit))
        wanted.append(g / (1 + math.exp(-slope * g)) * (u + 1))
    y = SwiGLUClamped(limit=limit, slope=slope)(gate, up)
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-12)


def test_is_the_gate_of_gpt_oss() -> None:
    config = GptOssConfig(hidden_size=4, intermediate_size=5, num_local_experts=1)
    gate, up = 6 * noise(7, 5, seed=1), 6 * noise(7, 5, seed=2)
    assert (gate > 7).any()
    assert (up.abs() > 7).any()
    both = torch.stack((gate, up), dim=-1).flatten(-2)  # theirs alternate
    wanted = GptOssExperts(config)._apply_gate(both)
    torch.testing.assert_close(SwiGLUClamped()(gate, up), wanted, rtol=0, atol=1e-12)


def test_takes_a_gate_and_a_value() -> None:
    assert SwiGLUClamped.n_inputs == 2


@pytest.mark.parametrize("name", ["limit", "slope"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=0.0 must be a positive number, for example"):
        SwiGLUClamped(**{name: 0.0})
