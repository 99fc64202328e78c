"""A choice that changes nothing is said once at the start; the run goes on."""

from __future__ import annotations

import pytest

from lightning_transformer.build import build
from lightning_transformer.training.messages import notices
from tests.conftest import compose_config, tiny
from tests.helpers.short_runs import difference, short_run

TYPED = ("model.d_model=32", "data.seq_len=16", "data.batch_size=4")


def said(*overrides: str) -> list[str]:
    cfg = compose_config(*TYPED, *overrides)
    return list(notices(cfg, tiny(*overrides), build(cfg, "pattern")))


@pytest.mark.parametrize("pattern", ["sliding_window", "local_global"])
def test_a_window_as_long_as_the_row_is_noticed(pattern):
    (line,) = said(f"pattern={pattern}", "pattern.window=16")
    assert line == (
        "pattern.window=16 reaches over all of data.seq_len=16, so that it is the same as "
        "pattern=full; a window below 16 is not"
    )
    assert said(f"pattern={pattern}", "pattern.window=15") == []
    assert said() == []


def test_a_window_and_global_tokens_as_long_as_the_row_are_noticed():
    typed = ("pattern=global_tokens", "pattern.n_global=6")
    (line,) = said(*typed, "pattern.window=10")
    assert line == (
        "pattern.window=10 reaches over all of data.seq_len=16, so that it is the same as "
        "pattern=full; a window and n_global of less than 16 together are not"
    )
    assert said(*typed, "pattern.window=9") == []


def test_special_tokens_make_a_row_longer():
    typed = ("model=encoder_decoder", "pattern=sliding_window")
    assert said(*typed, "pattern.window=16") == []
    (line,) = said(*typed, "pattern.window=17")
    assert line.endswith("a window below 17 is not")


def test_training_goes_on_and_is_that_of_the_full_pattern(tmp_path, capsys):
    short_run(tmp_path / "window", "pattern=sliding_window", "pattern.window=40")
    line = "pattern.window=40 reaches over all of data.seq_len=16"
    assert capsys.readouterr().out.count(line) == 1
    short_run(tmp_path / "full")
    assert "pattern.window" not in capsys.readouterr().out
    assert difference(tmp_path / "window", tmp_path / "full") < 1e-5  # float32, another kernel


def test_rope_in_all_layers_is_noticed():
    (line,) = said("position=rope_nope")
    assert line == (
        "position.n_rope=3 turns all 2 layers, so that it is the same as position=rope; a number "
        "below 2 is not"
    )
    assert said("position=rope_nope", "position.n_rope=1") == []
