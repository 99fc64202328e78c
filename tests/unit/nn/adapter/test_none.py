"""adapter=none."""

from lightning_transformer.build import add_adapter
from tests.conftest import TINY, build_tiny, compose_config


def test_all_stays_as_it_is() -> None:
    cfg = compose_config(*TINY, "freeze=by_name", "freeze.patterns=[embedding.*]")
    model = build_tiny(cfg)
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    add_adapter(cfg, model)
    assert {name: p.requires_grad for name, p in model.named_parameters()} == before
    assert set(before.values()) == {True, False}
