from lightning_transformer.build import build
from tests.conftest import compose_config


def test_nothing_is_changed_however_different_the_sizes():
    large, small = compose_config("model.n_layers=8"), compose_config("model.n_layers=1")
    found = build(large, "match")(large, small)
    assert (dict(found.changes), found.residual) == ({}, 0.0)
