"""rates=equal."""

from lightning_transformer.optim.param_groups import param_groups
from lightning_transformer.optim.rates.equal import equal
from tests.conftest import tiny


def test_groups_have_the_rate_of_the_optimizer() -> None:
    model = tiny()
    model.updates.rates = equal
    assert [g["name"] for g in param_groups(model, 0.1, lr=0.5)] == ["decay", "no_decay"]
    assert not any("lr" in group for group in param_groups(model, 0.1, lr=0.5))
