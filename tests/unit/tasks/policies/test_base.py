"""What policies share, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_transformer.tasks.policies.base import MAX_LOG_RATIO, group_scores, k3, token_mean

# The numbers of the issue: two prompts with four answers each.
REWARDS = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
# Two answers of two and one token.
SCORED = torch.tensor([[True, True, False], [False, True, False]])
NOW = torch.tensor([[-1.0, -2.0, 0.0], [0.0, -0.5, 0.0]], dtype=torch.float64)
THEN = torch.tensor([[-1.5, -1.9, 0.0], [0.0, -0.25, 0.0]], dtype=torch.float64)
GAIN = torch.tensor([2.0, -1.0], dtype=torch.float64)


def test_scores_of_a_group_have_its_unbiased_deviation_and_a_little_more() -> None:
    first = 0.5 / (math.sqrt(1 / 3) + 1e-4)
    second = [-0.25 / (0.5 + 1e-4), 0.75 / (0.5 + 1e-4)]
    wanted = [[first, -first, -first, first], [second[0]] * 3 + [second[1]]]
    torch.testing.assert_close(
        group_scores(REWARDS), torch.tensor(wanted, dtype=torch.float64), rtol=1e-12, atol=0
    )
    assert first == pytest.approx(0.86588, abs=5e-6)
    assert second == pytest.approx([-0.4999, 1.4997], abs=5e-5)


def test_equal_rewards_teach_nothing() -> None:
    assert not group_scores(torch.ones(2, 4)).any()


def test_means_are_over_the_tokens_of_an_answer() -> None:
    assert token_mean(NOW, SCORED).tolist() == [-1.5, -0.5]
    assert token_mean(NOW, torch.zeros_like(SCORED)).tolist() == [0.0, 0.0]


def test_k3_is_never_negative_and_its_logarithm_is_held() -> None:
    d = -0.5
    assert float(k3(NOW, THEN)[0, 0]) == pytest.approx(math.exp(d) - d - 1, rel=1e-12)
    assert float(k3(NOW, THEN).min()) >= 0
    far = k3(torch.tensor(-100.0), torch.tensor(0.0))
    assert float(far) == pytest.approx(math.exp(MAX_LOG_RATIO) - MAX_LOG_RATIO - 1, rel=1e-6)


def test_k3_is_the_divergence_on_average() -> None:
    """Over all tokens, weighted by how often they are drawn."""
    p, q = (torch.tensor(x, dtype=torch.float64) for x in ([0.5, 0.3, 0.2], [0.2, 0.2, 0.6]))
    exact = float((p * (p / q).log()).sum())
    assert float((p * k3(p.log(), q.log())).sum()) == pytest.approx(exact, rel=1e-12)
