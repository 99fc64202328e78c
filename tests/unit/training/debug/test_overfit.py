from __future__ import annotations

import pytest

from lightning_transformer.build import build
from lightning_transformer.models.base import Transformer
from lightning_transformer.training.debug.overfit import FirstExamples, Overfit
from tests.conftest import compose_config
from tests.helpers.short_runs import short, short_run


def test_a_head_gives_the_first_examples_alike_in_every_epoch(tmp_path):
    data = build(compose_config(*short(tmp_path)), "data")
    data.prepare()
    split = data.splits["train"]
    head = FirstExamples(split, 3)
    assert len(head) == 3
    assert head.n_tokens == split.n_tokens * 3 // len(split)
    for index in range(3):
        for epoch in (0, 1, 7):
            assert list(head.get(index, epoch).ids) == list(split.get(index, 0).ids)
    assert len(FirstExamples(split, 10**9)) == len(split)


def test_every_step_sees_the_same_rows_and_validation_too(tmp_path, monkeypatch):
    seen = {"training": [], "validation": []}

    def watch(name):
        step = getattr(Transformer, f"{name}_step")

        def watched(model, batch, batch_idx):
            seen[name].append(sorted(map(tuple, batch.input_ids.tolist())))
            return step(model, batch, batch_idx)

        monkeypatch.setattr(Transformer, f"{name}_step", watched)

    for name in seen:
        watch(name)
    overfit = "+callbacks.overfit._target_=lightning_transformer.training.debug.overfit.Overfit"
    short_run(tmp_path / "run", overfit, "+callbacks.overfit.n_steps=2", "trainer.max_steps=4")
    # Two steps' worth of rows: each epoch of two steps has them all.
    first, second, third, fourth = seen["training"]
    assert first != second
    assert sorted(first + second) == sorted(third + fourth) == sorted(seen["validation"][0])


def test_at_least_one_step():
    with pytest.raises(ValueError, match="n_steps=0 must be at least 1"):
        Overfit(n_steps=0)
