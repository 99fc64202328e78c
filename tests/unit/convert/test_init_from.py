"""What the folder of init_from= adds to what was typed, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_transformer.convert.init_from import started_arguments
from lightning_transformer.errors import ConfigError
from tests.conftest import compose_config
from tests.helpers.model_folders import edit, model_of, save
from tests.unit.compare.report.made_runs import make_run


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(model_of("bert"), tmp_path_factory.mktemp("model") / "bert")


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(model_of("gemma2"), tmp_path_factory.mktemp("model") / "gemma")


def facts(place: Path, *typed: str) -> list[str]:
    given = [f"init_from={place}", "data.seq_len=16", *typed]
    found = started_arguments(given)
    assert found[-len(given) :] == given
    return found[: -len(given)]


def test_nothing_is_added_without_the_key() -> None:
    for typed in ([], ["norm=layernorm"], ["init_from=null", "seed=3"]):
        assert started_arguments(typed) == typed


def test_facts_stand_before_what_was_typed(bert: Path) -> None:
    found = facts(bert)
    assert found[0] == "preset=bert"
    assert {
        "model.n_layers=2",
        "model.d_model=32",
        "attention.n_heads=4",
        "ffn.hidden_mult=2.0",
    } < {*found}
    assert found[-2:] == ["tokenizer=pretrained", f"tokenizer.path='{bert}'"]
    cfg = compose_config(*found, f"init_from={bert}")
    assert (cfg.output_layer.transform, cfg.norm.eps) == (True, 1e-12)
    # Given again, as the jobs of a comparison are, they add nothing.
    assert facts(bert, *found) == []


def test_what_is_typed_wins_unless_it_is_a_size(bert: Path) -> None:
    found = facts(bert, "model.dropout=0.3", "norm.eps=1e-3")
    assert not [text for text in found if text.startswith(("model.dropout", "norm.eps"))]
    facts(bert, "model.n_layers=2")
    with pytest.raises(ConfigError, match=r"model.n_layers=3 contradicts .* has model.n_layers=2;"):
        facts(bert, "model.n_layers=3")
    with pytest.raises(ConfigError, match=r"preset=llama3 contradicts .* has preset=bert; leave"):
        facts(bert, "preset=llama3")
    facts(bert, "model=encoder_only")
    with pytest.raises(ConfigError, match=r"model=decoder_only contradicts .* model=encoder_only"):
        facts(bert, "model=decoder_only")
    with pytest.raises(ConfigError, match=r"tokenizer=bytes contradicts"):
        facts(bert, "tokenizer=bytes")


def test_options_that_the_chosen_ones_lack_are_left_out(gemma: Path) -> None:
    assert "output_layer.softcap=5.0" in facts(gemma)
    assert not [t for t in facts(gemma, "task=classification") if t.startswith("output_layer")]
    assert not [t for t in facts(gemma, "pattern=full") if t.startswith("pattern")]


def test_a_sweep_over_the_start_has_one_model(bert: Path, gemma: Path) -> None:
    found = started_arguments([f"init_from=null,{bert}", "data.seq_len=16"])
    assert found[:-2] == facts(bert)
    with pytest.raises(ConfigError, match=r"models that differ \(preset\) cannot be one sweep"):
        started_arguments([f"init_from={bert},{gemma}", "data.seq_len=16"])


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["init_from=nowhere"], "init_from=nowhere: no folder; save a model there with save_pre"),
        (["init_from=org/model"], "a name on the hub is not read, for there is no network here"),
        (["init_from={bert}", "resume=outputs/x"], "beside resume=: a run goes on from its own"),
        (["init_from={bert}", "data.seq_len=25"], "beyond the 24 learned positions .*seq_len=24"),
        (["init_from={bert}", "data.seq_len=9", "init=mup"], "init=mup beside init_from"),
    ],
)
def test_bad_input_is_refused_in_a_line(bert: Path, typed: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        started_arguments([text.format(bert=bert) for text in typed])
    assert "\n" not in str(caught.value)


def test_folders_with_nothing_of_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds neither a run .result.json. nor a model"):
        facts(tmp_path)
    folder = save(model_of("gpt2"), tmp_path / "gpt2")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"has no tokenizer.json: save it there with"):
        facts(folder)
    edit(folder, reorder=1)
    with pytest.raises(ConfigError, match=r"init_from=.*config.json: reorder=1 is a key"):
        facts(folder)


def test_a_run_that_does_not_say_its_task(tmp_path: Path) -> None:
    make_run(tmp_path / "run", seed=1, loss=2.0)
    with pytest.raises(ConfigError, match=r"result.json does not say which task it had; name"):
        facts(tmp_path / "run")


def test_a_queue_may_start_and_go_on_with_one_command(bert: Path) -> None:
    assert facts(bert, "resume=auto", "hydra.run.dir=x")[0] == "preset=bert"
