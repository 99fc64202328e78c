"""`import lightning_transformer as lt`: what it offers, and that it costs nothing to import."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lightning_transformer as lt
from lightning_transformer.build import build
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.runs.result import RESULT_FILE, read
from lightning_transformer.tasks.base import Batch
from tests.conftest import compose_config
from tests.unit.generate.folders import KINDS, make_run

ROOT = Path(__file__).resolve().parents[2]
SHORT = (
    "data=text", "data.seq_len=16", "data.batch_size=4", "data.num_workers=0", "trainer=cpu",
    "model.d_model=32", "model.n_layers=1", "trainer.max_steps=2", "trainer.val_every=2",
    "callbacks=none", "logger=none", "schedule.warmup_steps=0",
)  # fmt: skip


def run_python(code: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def short(tmp_path: Path) -> list[str]:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and the dog lay beside it\n" * 40, encoding="utf-8")
    return [*SHORT, f"data.path={text}"]


# -- the package ----------------------------------------------------------------------------------


def test_the_import_is_light() -> None:
    heavy = {"torch", "lightning", "hydra", "numpy", "omegaconf", "rich"}
    code = f"import sys, lightning_transformer as lt; print({heavy} & sys.modules.keys(), dir(lt))"
    assert run_python(code).startswith("set() [")


def test_every_public_name_is_there_and_listed() -> None:
    assert set(lt.__all__) <= set(dir(lt))
    for name in lt.__all__:
        assert getattr(lt, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        getattr(lt, "trian")  # noqa: B009


def test_the_version_is_a_literal_that_the_build_can_read() -> None:
    source = (ROOT / "lightning_transformer" / "__init__.py").read_text(encoding="utf-8")
    assert re.search(rf'^__version__ = "{re.escape(lt.__version__)}"$', source, re.MULTILINE)


@pytest.mark.parametrize(
    "before",
    [
        "import lightning_transformer.compare.report.write",
        *(pytest.param(o, marks=pytest.mark.slow) for o in ("", "lt.compare", "lt.train")),
    ],
)
def test_names_stay_functions_whatever_was_imported(before: str) -> None:
    ask = "print(callable(lt.compare), callable(lt.train))"
    code = f"import lightning_transformer as lt\n{before}\n{ask}"
    assert run_python(code) == "True True\n"


# -- train ----------------------------------------------------------------------------------------


def test_train_runs_in_silence_and_gives_what_is_on_disk(
    short: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = lt.train(short, tmp_path / "run")
    assert capsys.readouterr() == ("", "")
    assert (result.status, result.steps, result.folder) == ("finished", 2, tmp_path / "run")
    stored = read(tmp_path / "run")
    assert stored.metrics == result.metrics
    assert stored.choices["norm"] == "rmsnorm"
    assert "test/loss" in result._repr_html_()
    assert f"{result.metrics['test/loss']:.4g}" in repr(result)
    with pytest.raises(ConfigError, match="holds a run already"):
        lt.train(short, tmp_path / "run")


def test_a_new_folder_is_named_as_on_the_command_line(
    short: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *_: "2030-01-02_03-04-05")
    first, second = lt.train(short), lt.train(short)
    assert first.folder.parent == Path("outputs/runs")
    assert first.folder.name.startswith("2030-01-02_03-04-05_callbacks=none,")
    assert second.folder == Path(f"{first.folder}~2")
    assert first.config_sha256 == second.config_sha256
    assert first.metrics == second.metrics


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["norm=rmsnrm"], "unknown option norm=rmsnrm"),
        (["model.n_layer=2"], "unknown key model.n_layer"),
        (["model.d_model=0"], "d_model=0 must be"),
        (["norm=rmsnorm,dyt"], "several values for one key"),
        (["match=params"], "match=params is solved for by"),
        (["hydra.run.dir=x"], "hydra.run.dir=x is for the command line"),
        (["resume=x"], "resume=x is for the command line"),
        ("norm=dyt", r'write \["norm=dyt"\]'),
    ],
)
def test_train_refuses_in_one_line(overrides: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        lt.train(overrides, tmp_path / "run")
    assert "\n" not in str(caught.value)
    folder = tmp_path / "run"
    assert not folder.exists() or read(folder).status == "failed"


# -- load_run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def kind_and_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    return request.param, make_run(tmp_path_factory.mktemp("front") / request.param, request.param)


def test_scores_and_predictions_of_each_task(kind_and_run: tuple[str, Path]) -> None:
    kind, folder = kind_and_run
    model = lt.load_run(folder)
    ids, size = model.encode("the cat"), ByteVocabulary().size
    assert ids.ndim == 2
    if kind == "seq2seq":
        assert ids[0, -1] == model.tokenizer.eos_id
        target = torch.tensor([[model.tokenizer.bos_id, 65, 66]])
        scores = model(target, source=ids)
        assert scores.shape == (1, 3, size)
        with pytest.raises(ValueError, match="model=EncoderDecoder needs a source"):
            model(ids)
    else:
        scores = model(ids)
        sizes = {"classification": (1, 3), "tagging": (1, 7, 3)}
        assert scores.shape == sizes.get(kind, (1, 7, size))
        with pytest.raises(ValueError, match="reads no source"):
            model(ids, source=ids)
        batch = Batch(ids, torch.zeros(1, dtype=torch.long), torch.tensor(1), ids.numel())
        with torch.no_grad():
            features = model.module.features(batch)
            if kind in ("causal_lm", "tagging"):
                assert torch.equal(scores, model.module.task.head(features))
    (found,) = model.predict("the [MASK]at" if kind == "masked_lm" else "the cat")
    if kind == "classification":
        label, probability = found
        assert label == ("one", "two", "three")[int(scores.argmax())]
        assert probability == pytest.approx(float(scores.softmax(-1).max()), abs=1e-6)
    elif kind == "tagging":
        assert [word for word, _ in found] == ["the", "cat"]
    else:
        assert isinstance(found, str)


def test_generate(kind_and_run: tuple[str, Path]) -> None:
    kind, folder = kind_and_run
    model = lt.load_run(folder)
    if kind not in ("causal_lm", "seq2seq"):
        with pytest.raises(ValueError, match=r"generates no text; use predict\(texts\)"):
            model.generate("the cat")
        return
    once = model.generate(["the cat", "a"], max_new_tokens=6, temperature=0.0)
    assert len(once) == 2
    assert once == model.generate(["the cat", "a"], max_new_tokens=6, temperature=0.0, batch_size=1)
    with pytest.raises(ValueError, match="max_new_tokens=0 must be at least 1"):
        model.generate("a", max_new_tokens=0)
    if kind == "causal_lm":
        ids = model.encode("the cat")
        assert torch.equal(model(ids).argmax(-1), model(ids.numpy()).argmax(-1))
        samples = model.generate("the cat", n_samples=3, max_new_tokens=6, temperature=1.0, seed=3)
        assert len(set(samples)) == 3


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2], r"ids of shape \(2,\) must be integers \(B, T\)"),
        ([[1.5]], "must be integers"),
        ([[]], "must be integers"),
        ([[999]], r"ids must lie in \[0, 262\)"),
        ([[1] * 17], "ids have 17 tokens; the model reads at most 16"),
    ],
)
def test_ids_that_the_model_cannot_read(ids: Any, message: str, tmp_path: Path) -> None:
    model = lt.load_run(make_run(tmp_path / "run", "causal_lm"))
    with pytest.raises(ValueError, match=message):
        model(ids)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.yaml"):
        lt.load_run(tmp_path)


# -- Stack ----------------------------------------------------------------------------------------


def test_a_stack_has_the_defaults_of_conf() -> None:
    stack: Any = lt.Stack(d_model=32, n_layers=2, max_len=16)
    cfg = compose_config("model.d_model=32", "model.n_layers=2", "data.seq_len=16")
    model: Any = build(cfg, "model", vocabulary=ByteVocabulary(), labels=(), seed=1)
    wanted, found = model.decoder.state_dict(), stack.state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in wanted.items()}
    assert repr(stack) == repr(model.decoder)
    initialise(model.decoder, build(cfg, "init"), 1)
    x = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(stack(x), model.decoder(x))
    assert stack(x).shape == x.shape


def test_a_stack_with_overrides() -> None:
    stack: Any = lt.Stack(d_model=24, n_layers=1, causal=False, overrides=["norm=dyt"])
    assert type(stack.final_norm).__name__ == "DyT"
    x = torch.randn(1, 4, 24)
    changed = torch.cat((x[:, :3], torch.randn(1, 1, 24)), dim=1)
    assert not torch.equal(stack(x)[:, 0], stack(changed)[:, 0])  # sees the last position
    with pytest.raises(ConfigError, match="n_heads"):
        lt.Stack(d_model=30, n_layers=1)
    with pytest.raises(ConfigError, match="unknown option norm=dty"):
        lt.Stack(d_model=24, n_layers=1, overrides=["norm=dty"])


# -- compare --------------------------------------------------------------------------------------


def test_compare_gives_a_table_and_rich_output(short: list[str], tmp_path: Path) -> None:
    for norm in ("rmsnorm", "layernorm"):
        for seed in (1, 2):
            overrides = [*short, f"norm={norm}", f"seed={seed}"]
            lt.train(overrides, tmp_path / "norms" / f"{norm}-{seed}")
    report = lt.compare(tmp_path / "norms", baseline="norm=rmsnorm")
    table = report.to_pandas()
    assert sorted(table.index) == ["norm=layernorm", "norm=rmsnorm"]
    losses = [
        json.loads((tmp_path / "norms" / f"layernorm-{s}" / RESULT_FILE).read_text())["metrics"]
        for s in (1, 2)
    ]
    mean = sum(one["test/loss"] for one in losses) / 2
    assert table.loc["norm=layernorm", "mean"] == pytest.approx(mean, rel=1e-12)
    shown = report._repr_html_()
    assert "<table" in shown
    assert shown.count("<svg") >= 1
    assert not (tmp_path / "norms" / "report.html").exists()
    with pytest.raises(ValueError, match="no folder of runs"):
        lt.compare()
