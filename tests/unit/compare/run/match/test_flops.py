"""match=flops: steps times the cost of a step are equal."""

import pytest
import torch

from lightning_transformer.build import build, build_model
from lightning_transformer.compare.run.match.base import size_of
from lightning_transformer.compare.run.match.flops import Flops
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.models.size import measure
from tests.conftest import compose_config

SMALL = ("model.d_model=64", "data.seq_len=64", "trainer.max_steps=800", "trainer.val_every=200")


def test_a_costlier_variant_gets_fewer_steps_and_the_same_shape_of_schedule():
    base = compose_config(*SMALL, "model.n_layers=2", "schedule.warmup_steps=100")
    deep = compose_config(*SMALL, "model.n_layers=4", "schedule.warmup_steps=100")
    ratio = size_of(base).flops_per_token / size_of(deep).flops_per_token
    assert ratio < 0.6
    found = Flops()(deep, base)
    steps = round(800 * ratio)
    assert found.changes == {
        "trainer.max_steps": steps,
        "trainer.val_every": round(steps / 4),
        "schedule.warmup_steps": round(steps / 8),
    }
    assert found.residual == pytest.approx(steps / ratio / 800 - 1)


def test_larger_batches_cost_more():
    base = compose_config(*SMALL, "data.batch_size=16")
    found = Flops()(compose_config(*SMALL, "data.batch_size=32"), base)
    assert found.changes["trainer.max_steps"] == 400


def test_the_baseline_itself_is_left_as_it_is():
    cfg = compose_config(*SMALL)
    assert Flops()(cfg, cfg).changes == {}


def test_too_few_steps_to_be_equal_are_refused():
    few = ("trainer.max_steps=3", "model.d_model=64")
    base = compose_config(*few, "model.n_layers=2")
    with pytest.raises(ValueError, match=r"training FLOPs differ by .*take more steps"):
        Flops()(compose_config(*few, "model.n_layers=3"), base)


def test_micro_batches_change_no_cost():
    """A batch is of a step, however many pieces it is computed in."""
    found = Flops()(compose_config(*SMALL, "trainer.accumulate=2"), compose_config(*SMALL))
    assert found == Matched({}, 0.0)


def test_the_vocabulary_is_that_of_the_data(tmp_path):
    """The output costs V D multiplications: with 600 tokens more than with bytes."""
    file = tmp_path / "text.txt"
    file.write_text("".join(f"word{i} and word{i * i} or {i}\n" for i in range(2000)))
    data = (*SMALL, "data=text", f"data.path={file}", "tokenizer=bpe", "tokenizer.vocab_size=600")
    size = size_of(compose_config(*data, "model.n_layers=2"))
    build_for = compose_config(*data, "model.n_layers=2")
    source = build(build_for, "data")
    source.prepare()
    with torch.device("meta"):
        model = build_model(build_for, vocabulary=source.vocabulary, labels=[], seed=0)
    assert source.vocabulary.size > 262
    assert size.flops_per_token == measure(model, 64).flops_per_token


def test_an_adapter_is_counted_with_what_it_spares():
    """By hand, per token of one layer: of frozen weights 4 FLOPs each, of the adapter's 6."""
    small = ("model.d_model=32", "model.n_layers=1", "attention.n_heads=2", "data.seq_len=32")
    size = (*small, "attention.n_kv_heads=2", "trainer.max_steps=400", "trainer.val_every=100")
    base = compose_config(*size)
    cfg = compose_config(*size, "adapter=lora", "adapter.targets=[down]", "adapter.rank=4")
    frozen, adapted = size_of(base), size_of(cfg)
    n_added = adapted.n_params - frozen.n_params
    hidden = n_added // 4 - 32
    # Below the adapter, which is behind the block's last layer, there are no gradients.
    head, down = 32 * 262, hidden * 32
    rest = (frozen.flops_per_token - 6 * (head + down)) / 3
    expected = rest + 4 * head + 2 * down + 4 * 4 * hidden + 6 * 4 * 32
    assert adapted.flops_per_token == pytest.approx(expected, rel=1e-6)
    ratio = frozen.flops_per_token / adapted.flops_per_token
    assert ratio > 1.5
    assert Flops()(cfg, base).changes["trainer.max_steps"] == round(400 * ratio)
