"""What comes from elsewhere is data: it runs nothing, writes nothing outside, leaks nothing."""

from __future__ import annotations

import ast
import io
import os
import pickle
import shutil
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from lightning_transformer.build import load_run
from lightning_transformer.checkpoint.run_files import read_state
from lightning_transformer.cli.hide_secrets import hide_secrets
from lightning_transformer.config.compose import preflight, register
from lightning_transformer.config.validate import check, plain
from lightning_transformer.data.tokenizers.file import load_vocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.generate.__main__ import main as generate
from lightning_transformer.paths import PACKAGE
from lightning_transformer.runs.naming import free_folder, job_name
from lightning_transformer.runs.result import read
from lightning_transformer.runs.secrets import is_secret, redacted, redacted_overrides
from lightning_transformer.runs.trusted_targets import (
    check_links,
    check_overrides,
    check_targets,
    offered,
)
from lightning_transformer.runs.untrusted import stored_config, stored_labels
from tests.helpers.short_runs import refused, short, type_in
from tests.unit.generate.folders import make_run


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """The folder of a run; a test changes its config.yaml and puts it back."""
    return make_run(tmp_path_factory.mktemp("genuine") / "run", "causal_lm")


@pytest.fixture
def run(genuine):
    kept = {p: p.read_bytes() for p in genuine.rglob("*") if p.is_file()}
    yield genuine
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file that exists once anything hostile ran; also what importing the module `evil` makes."""
    path = tmp_path / "canary"
    (tmp_path / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(path)!r}).touch()\nfrom torch import nn\n"
        "class Norm(nn.Module):\n    def __init__(self, dim): super().__init__()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop("evil", None)


def put(folder, key, value):
    """Change one value of the configuration that is stored in a run folder."""
    cfg = OmegaConf.load(folder / "config.yaml")
    OmegaConf.update(cfg, key, value, merge=False, force_add=True)
    OmegaConf.save(cfg, folder / "config.yaml")


# Places in a stored configuration, each with something that would run if it were instantiated.
NORM, LOSS = "model.norm", "model.task.loss"
HOSTILE = [
    (NORM, "os.system"),
    (NORM, "evil.Norm"),
    (NORM, "builtins.eval"),
    (NORM, "builtins.getattr"),
    (NORM, "subprocess.run"),
    (NORM, "importlib.import_module"),
    (NORM, "pickle.loads"),
    (NORM, "numpy.load"),
    (NORM, "torch.load"),
    (NORM, "torch.hub.load"),
    (NORM, "torch.utils.cpp_extension.load_inline"),
    (NORM, "hydra.utils.get_method"),
    (LOSS, "hydra.utils.instantiate"),
    (LOSS, "lightning_transformer.cli.main.os.system"),
    (LOSS, "lightning_transformer.cli.job.shutil.rmtree"),
    (LOSS, "lightning_transformer.__main__.main"),
    (LOSS, "lightning_transformer.cli.job.set_aside"),
    (LOSS, "lightning_transformer.training.run.run"),
    (LOSS, "lightning_transformer.runs.atomic.write_atomically"),
    (LOSS, "lightning_transformer.data.cache.write_atomically"),
    (LOSS, "lightning_transformer.build.instantiate"),
    (LOSS, "lightning_transformer.nn.norm.rmsnorm.RMSNorm"),  # ours, but of another kind
    ("model.block.attention", "lightning_transformer.training.loggers.tensorboard.TensorBoard"),
    ("model.init", "lightning_transformer.nn.norm.rmsnorm.torch.load"),
    ("model", "lightning_transformer.training.trainer.TrainerOptions"),
    ("model.block.extra", "os.system"),
]


@pytest.mark.parametrize(("place", "target"), HOSTILE)
def test_hostile_targets_in_a_run_folder_are_refused_and_nothing_runs(
    run, canary, capsys, place, target
):
    words = {"command": f"touch {canary}", "path": str(canary), "folder": str(canary.parent)}
    put(run, place, {"_target_": target, "_partial_": True, **words})
    with pytest.raises(ValueError, match="is no option of") as caught:
        load_run(run)
    assert f"{place}._target_={target} " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert generate([str(run), "--prompt", "a"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not canary.exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model.norm.eps", "${oc.env:HOME}", "is an interpolation"),
        ("model.norm.eps", "${foo}", "is an interpolation"),
        ("model.norm._args_", ["x"], "is not written by a run"),
        ("model.norm._recursive_", False, "is not written by a run"),
        ("model.norm.nope", 1, "unknown key model.norm.nope"),
        ("model.d_model", "wide", "model.d_model=wide must be a whole number"),
        ("model.d_model", 10**6, "does not fit its config.yaml"),
        ("model.d_model", 10**12, "describes no model"),
        ("model.n_layers", 10**12, "n_layers=1000000000000 must be at most"),
        ("model.task.head", {"_target_": "os.system"}, "is no option of head"),
        ("model.norm", None, "describes no model"),
        ("model", 3, "holds no model"),
        ("seed", "${oc.env:HOME}", "holds no model with a seed"),
    ],
)
def test_other_bad_values_in_a_run_folder_are_refused_in_one_line(run, key, value, said):
    put(run, key, value)
    with pytest.raises(ValueError, match=said) as caught:
        load_run(run)
    assert "\n" not in str(caught.value)
    assert os.environ["HOME"] not in str(caught.value)


def test_what_is_not_needed_of_a_foreign_configuration_is_never_resolved(run, monkeypatch):
    monkeypatch.setenv("CANARY_TOKEN", "sesame")
    put(run, "callbacks.x", {"_target_": "os.system", "command": "${oc.env:CANARY_TOKEN}"})
    put(run, "trainer.strategy", {"_target_": "evil.Strategy"})
    load_run(run)  # neither is built for using a model
    assert "evil" not in sys.modules
    put(run, "model.norm.eps", -1.0)
    with pytest.raises(ValueError, match=r"eps=-1\.0 must be a positive number") as caught:
        load_run(run)
    assert "sesame" not in str(caught.value)


def test_the_user_can_trust_a_package_by_name(run, canary):
    put(run, NORM, {"_target_": "evil.Norm", "_partial_": True})
    with pytest.raises(ValueError, match="if you trust the package, say so with --trust"):
        load_run(run)
    with pytest.raises(ValueError, match=r"model\.norm\._target_=evil\.Norm is no option of norm"):
        load_run(run, trust=["numpy"])
    assert not canary.exists()
    with pytest.raises(ValueError, match=r"final_norm\.weight is unexpected"):  # it was built
        load_run(run, trust=["evil"])
    assert canary.exists()


def test_an_alias_is_refused_even_in_a_trusted_package(canary):
    with pytest.raises(ValueError, match=r"evil\.nn\.Linear does not exist"):
        check_targets({"_target_": "evil.nn.Linear"}, "x", ["evil"])
    with pytest.raises(ValueError, match=r"evil\.Path is another name of pathlib"):
        check_targets({"_target_": "evil.Path"}, "x", ["evil"])


def test_offered_are_the_targets_of_the_option_files():
    assert "lightning_transformer.nn.norm.rmsnorm.RMSNorm" in offered("norm")
    assert len(offered("strategy")) == 1  # not the key of a group: a node inside an option
    assert offered("os") == set()


@pytest.mark.parametrize(
    "name",
    [
        "evil.Norm",
        "os.system",
        "lightning_transformer.cli.main.Path",
        "lightning_transformer.runs.trusted_targets.re",
    ],
)
def test_a_tokenizer_file_imports_nothing_of_others(run, canary, name):
    (run / "tokenizer.json").write_text(f'{{"class": "{name}"}}')
    for load in (lambda: load_vocabulary(run / "tokenizer.json"), lambda: load_run(run)):
        with pytest.raises(ValueError, match="the vocabulary class"):
            load()
    assert not canary.exists()


# -- checkpoint files ------------------------------------------------------------------------------


class Bomb:
    """Touches the canary if it is ever unpickled."""

    def __init__(self, path, how="system"):
        self.path, self.how = path, how

    def __reduce__(self):
        if self.how == "system":
            return os.system, (f"touch {self.path}",)
        if self.how == "exec":
            return exec, (f"open({str(self.path)!r}, 'w').close()",)
        return eval, (f"__import__('os').system('touch {self.path}')",)


def saved(content, **how):
    file = io.BytesIO()
    torch.save(content, file, **how)
    return file.getvalue()


def repacked(content, compression):
    """The same archive, compressed."""
    out = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(content))
    with zipfile.ZipFile(out, "w", compression) as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
    return out.getvalue()


def malicious(path):
    """Name -> the bytes of a checkpoint file."""
    bomb, weights = Bomb(path), OrderedDict(w=torch.zeros(2))
    return {
        "reduce": saved(bomb),
        "weights": saved({"state_dict": bomb}),
        "nested": saved({"state_dict": {"a": [{"b": (1, bomb)}]}}),
        "optimizer": saved({"state_dict": weights, "optimizer_states": [{"state": {0: bomb}}]}),
        "callbacks": saved({"state_dict": weights, "callbacks": {"x": Bomb(path, "exec")}}),
        "hyper_parameters": saved({"state_dict": weights, "hyper_parameters": bomb}),
        "eval": saved({"state_dict": Bomb(path, "eval")}),
        "omegaconf": saved({"hyper_parameters": OmegaConf.create({"a": 1})}),
        "legacy": saved({"state_dict": bomb}, _use_new_zipfile_serialization=False),
        "bare pickle": pickle.dumps({"state_dict": bomb}),
        "module": saved(torch.nn.Linear(2, 2)),
        "compressed": repacked(saved({"state_dict": torch.zeros(10**6)}), zipfile.ZIP_DEFLATED),
        "bytearray": _bytearray(),
        "number": saved(3),
        "truncated": saved({"state_dict": weights})[:300],
        "empty": b"",
    }


def _bytearray():
    """A pickle of a few bytes that asks for a terabyte."""
    code = b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + (10**12).to_bytes(6, "little") + b"\x85R."
    out = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(saved({})))
    with zipfile.ZipFile(out, "w") as target:
        for part in source.infolist():
            is_code = part.filename.endswith("data.pkl")
            target.writestr(part.filename, code if is_code else source.read(part))
    return out.getvalue()


@pytest.mark.parametrize("kind", list(malicious(Path("x"))))
def test_malicious_checkpoints_are_refused_in_one_line_and_nothing_runs(tmp_path, canary, kind):
    path = tmp_path / "state.ckpt"
    path.write_bytes(malicious(canary)[kind])
    with pytest.raises(ValueError, match="cannot be read") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)
    assert "weights_only=False" not in str(caught.value)  # torch's own advice
    assert not canary.exists()


def test_the_canary_dies_where_pickles_are_trusted(tmp_path, canary):
    torch.load(io.BytesIO(malicious(canary)["nested"]), weights_only=False)
    assert canary.exists()


def test_checkpoints_are_always_read_as_plain_values():
    calls = [
        (path.name, node)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "pickle.load")
    ]
    assert calls
    for name, call in calls:
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert given.get("weights_only") == "True", f"{name}:{call.lineno}"


@pytest.mark.slow
def test_stored_files_hold_plain_values(tmp_path):
    path = tmp_path / "config.yaml"
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join(9 * [f'*a{i - 1}'])}]" for i in range(1, 9)]
    for text in (
        "\n".join(levels),  # 9^9 texts
        "a: !!python/object/apply:os.system [echo]",
        "- 1",
        "a: [",
        "a: ${oc.env:",
        "\x00",
        "[" * 5000,
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"config\.yaml is not a configuration") as caught:
            stored_config(path)
        assert "\n" not in str(caught.value)
    path.write_text("a: x\n" * 1_000_000)
    with pytest.raises(ValueError, match="larger than any configuration"):
        stored_config(path)
    path.write_text("a: {b: '${oc.env:HOME}', c: 1e-5, d: [null, true]}")
    content = {"a": {"b": "${oc.env:HOME}", "c": 1e-5, "d": [None, True]}}
    assert stored_config(path) == content
    for text in ("{}", "[1]", "x", '"a"'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"config\.yaml"):
            stored_labels(path)


# -- resuming --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "override",
    [
        "hydra.launcher._target_=os.system",
        "hydra/launcher=x",
        "+hydra.callbacks.x._target_=evil.Callback",
        "+norm@hydra.callbacks.x=rmsnorm",
        "hydra.searchpath=[file:///x]",
        "norm._target_=os.system",
        "norm._target_=lightning_transformer.cli.job.set_aside",
        "norm._target_=${oc.env:X}",
        "+callbacks.x={_target_: os.system, command: x}",
        "+callbacks.x._target_=evil.Callback",
        "data.path=${oc.env:SECRET}",
        "data.path=${oc.decode:${a}}",
        "--config-dir=x",
        "-m",
        "+logger.api_key=[redacted]",
        3,
    ],
)
def test_overrides_of_a_run_folder_only_set_values(tmp_path, override):
    with pytest.raises(ValueError, match=r"result\.json") as caught:
        check_overrides(["seed=1", override], tmp_path)
    assert "\n" not in str(caught.value)


def test_ordinary_overrides_of_a_run_folder_pass(tmp_path):
    target = "norm._target_=lightning_transformer.nn.norm.rmsnorm.RMSNorm"
    ordinary = ["norm=rmsnorm", "norm.eps=${optimizer.lr}", "~callbacks.samples", target]
    check_overrides([*ordinary, "data.path='a b/ü.txt'", "+norm.x=[1,2]", "seed=1"], tmp_path)


def test_a_link_out_of_a_run_folder_is_refused(tmp_path):
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.mkdir()
    (run / "a.txt").write_text("x")
    (run / "b.txt").symlink_to(run / "a.txt")
    check_links(run)
    (run / "metrics.csv").symlink_to(outside / "precious.csv")
    with pytest.raises(ValueError, match=r"metrics\.csv is a link to .*outside the run folder"):
        check_links(run)
    (run / "metrics.csv").unlink()
    (run / "checkpoints").symlink_to(outside)
    with pytest.raises(ValueError, match="checkpoints is a link to"):
        check_links(run)


def test_links_that_wandb_keeps_in_its_folder_do_not_stop_resuming(tmp_path):
    run, outside = tmp_path / "run", tmp_path / "outside"
    (run / "wandb" / "offline-run-1" / "logs").mkdir(parents=True)
    outside.mkdir()
    (run / "wandb" / "debug.log").symlink_to(outside / "debug.log")
    (run / "wandb" / "offline-run-1" / "logs" / "core.log").symlink_to(outside / "core.log")
    check_links(run)
    (run / "wandb-2").symlink_to(outside)  # only what is in that folder, and only a real one
    with pytest.raises(ValueError, match="wandb-2 is a link to"):
        check_links(run)
    shutil.rmtree(run)
    run.mkdir()
    (run / "wandb").symlink_to(outside)
    with pytest.raises(ValueError, match="wandb is a link to"):
        check_links(run)


def test_resuming_a_hostile_folder_runs_nothing(run, canary, monkeypatch, capsys):
    hostile = [
        "hydra.callbacks.x._target_=evil.Norm",
        "norm._target_=evil.Norm",
        "a=${oc.env:HOME}",
    ]
    for override in hostile:
        result = read(run)
        result.overrides = [override]
        result.write(run)
        said = refused(monkeypatch, capsys, f"resume={run}")
        assert said.startswith(f"resume={run}: {override} in result.json ")
    assert not canary.exists()
    (run / "metrics.csv").symlink_to(canary)
    result.overrides = []
    result.write(run)
    assert "metrics.csv is a link to" in refused(monkeypatch, capsys, f"resume={run}")
    (run / "metrics.csv").unlink()
    assert not canary.exists()


# -- names -----------------------------------------------------------------------------------------

NAMES = ["../x", "/etc/x", "a/../../x", "..", ".", ".hidden", "~/x", "a\\..\\x", "a b", "", "a\0b"]
NAMES += ["x" * 129, "$(touch x)", "a;b", "a\nb", "null/..", "größe/x", "ü" * 65, "a\u202eb"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_of_sweeps_are_refused_and_nothing_is_written(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="must be a plain folder name"):
        check(OmegaConf.create({"sweep": name}), {})
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    typed = ["-m", f"sweep='{quoted}'", "seed=1,2", *short(tmp_path)]
    before = set(tmp_path.parent.rglob("*"))
    assert type_in(monkeypatch, *typed) == 2
    assert set(tmp_path.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    ["norms", "2026-11-23_20-51-37", "a=1,b+2", "x" * 128, "größe", "ü" * 64, "大きさ", "размер"],
)
def test_plain_names_of_sweeps_pass(name):
    check(OmegaConf.create({"sweep": name}), {})


@pytest.mark.parametrize("name", NAMES)
def test_hostile_values_stay_inside_the_folder_of_runs(tmp_path, name):
    folder = free_folder(tmp_path, job_name([f"data.path={name}"]), "digest")
    assert folder.parent == tmp_path
    assert folder.resolve().parent == tmp_path.resolve()
    if name not in ("null/..",) and not set(name) <= set("xü"):
        with pytest.raises(ValueError, match="must be a plain name"):
            free_folder(tmp_path, name, "digest")


# -- secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "hub_token",
        "logger.api_key",
        "apiKey",
        "password",
        "x.client-secret",
        "AWS_SECRET",
        "credentials",
        "aws_access_key",
        "private_key",
        "secret_key",
        "authToken",
        "passwd",
    ],
)
def test_secret_keys(key):
    assert is_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        "tokenizer",
        "n_tokens",
        "qk_norm",
        "key",
        "data.text_key",
        "label_key",
        "pad_token",
        "seed",
        "max_new_tokens",
        "unk_token",
        "tokenizer.path",
        "key_norm",
        "secretary",
        "tokens_per_s",
    ],
)
def test_ordinary_keys(key):
    assert not is_secret(key)


def test_redaction_hides_texts_under_secret_keys_only():
    config = {
        "logger": {"api_key": "abc", "n": 1, "_target_": "x.Token"},
        "token": {"_target_": "x.Y", "value": "abc", "list": ["abc", 2, None]},
        "max_token": 5,
        "secret": None,
        "tokenizer": {"vocab_size": 300, "path": "t.json"},
        "url": ["https://me:abc@host/x", "https://host/x"],
    }
    assert redacted(config) == {
        "logger": {"api_key": "[redacted]", "n": 1, "_target_": "x.Token"},
        "token": {"_target_": "x.Y", "value": "[redacted]", "list": ["[redacted]", 2, None]},
        "max_token": 5,
        "secret": None,
        "tokenizer": {"vocab_size": 300, "path": "t.json"},
        "url": ["https://[redacted]@host/x", "https://host/x"],
    }
    assert config["logger"]["api_key"] == "abc"


def test_redaction_of_what_was_typed():
    typed = ["norm=rmsnorm", "+logger.api_key=abc", "+x={a: 1, password: 'abc', b: [2]}", "~norm"]
    typed += ["data.text_key=abc", "+token=null", "+token=12", "data.path=ftp://me:abc@host"]
    assert redacted_overrides(typed) == [
        "norm=rmsnorm",
        "+logger.api_key=[redacted]",
        "+x={a: 1, password: '[redacted]', b: [2]}",
        "~norm",
        "data.text_key=abc",
        "+token=null",
        "+token=12",
        "data.path=ftp://[redacted]@host",
    ]


def test_what_is_recorded_of_a_configuration_hides_secrets():
    cfg = OmegaConf.create({"seed": 1, "a": {"api_key": "abc", "b": "${.api_key}"}, "token": "abc"})
    cfg.a.b = "x"
    assert plain(cfg) == {
        "seed": 1,
        "a": {"api_key": "[redacted]", "b": "x"},
        "token": "[redacted]",
    }
    assert "abc" not in job_name(["+a.api_key=abc"])


def test_a_secret_that_was_typed_is_in_no_file_of_the_run(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    callback = "lightning_transformer.training.callbacks.sample_writer.Samples"
    typed = [f"+callbacks.samples._target_={callback}", "+callbacks.samples.n=1"]
    typed += ["+trainer.plugins=[]", "+logger.api_key=open-sesame"]
    # Refused, as no logger takes it; what the attempt leaves must not hold it either.
    code = type_in(monkeypatch, *short(tmp_path), *typed, f"hydra.run.dir={folder}")
    assert code == 2
    files = {
        folder / ".hydra" / "config.yaml": "logger:\n  api_key: open-sesame\n  n: 1\n",
        folder / ".hydra" / "overrides.yaml": "- norm=rmsnorm\n- +logger.api_key=open-sesame\n",
        folder / ".hydra" / "hydra.yaml": "job:\n  name: a=b,+logger.api_key=open-sesame\n",
    }
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text)
        hide_secrets(path)
    for path in folder.rglob("*"):
        assert path.is_dir() or b"open-sesame" not in path.read_bytes(), path
    assert "name: a=b," in (folder / ".hydra" / "hydra.yaml").read_text()


KEYED = """
from lightning_transformer.training.loggers.tensorboard import TensorBoard

SEEN = []


def keyed(save_dir, *, api_key: str, url: str):
    SEEN.append((api_key, url))
    return TensorBoard(save_dir)
"""
KEYED_YAML = """
keyed:
  _target_: keyed_logger.keyed
  api_key: ${oc.env:KEYED_LOGGER_KEY}
  url: https://me:${oc.env:KEYED_LOGGER_KEY}@host/x
"""


@pytest.mark.parametrize("several", [False, True])
def test_a_secret_of_a_real_run_is_in_no_file_of_it(tmp_path, monkeypatch, capsys, several):
    """From the environment by a configuration of one's own, and typed; the component gets both."""
    (tmp_path / "keyed_logger.py").write_text(KEYED)
    (tmp_path / "mine" / "logger").mkdir(parents=True)
    (tmp_path / "mine" / "logger" / "keyed.yaml").write_text(KEYED_YAML)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("KEYED_LOGGER_KEY", "open-sesame")
    where = ["--config-dir", str(tmp_path / "mine"), "logger=keyed"]
    out = tmp_path / "out"
    typed = [o for o in short(tmp_path) if o != "logger=none"] + where
    place = ["-m", "seed=1,2", f"hydra.sweep.dir={out}"] if several else [f"hydra.run.dir={out}"]
    try:
        assert type_in(monkeypatch, *typed, *place) == 0
        typed_too = place if several else [f"hydra.run.dir={out}-2"]
        again = ["logger.keyed.api_key=say-friend", *(["trainer.max_steps=5"] if several else [])]
        assert type_in(monkeypatch, *typed, *again, *typed_too) == 0
        seen = sys.modules["keyed_logger"].SEEN
    finally:
        sys.modules.pop("keyed_logger", None)
    assert {key for key, _ in seen} == {"open-sesame", "say-friend"}
    assert {url for _, url in seen} == {"https://me:open-sesame@host/x"}
    files = [path for path in tmp_path.glob("out*/**/*") if path.is_file()]
    names = {path.name for path in files}
    assert {"hydra.yaml", "overrides.yaml", "config.yaml", "result.json", "metrics.csv"} <= names
    assert any("tfevents" in name for name in names)
    assert ("multirun.yaml" in names) == several
    output = capsys.readouterr()
    for secret in ("open-sesame", "say-friend"):
        assert not [path for path in files if secret.encode() in path.read_bytes()]
        assert not [path for path in files if secret in str(path)]
        assert secret not in output.out + output.err
    config = next(path for path in files if path.parent.name == ".hydra")
    assert "[redacted]" in (config.parent / "config.yaml").read_text()


# -- servers ---------------------------------------------------------------------------------------


def test_no_module_of_ours_opens_a_connection():
    network = {
        "socket",
        "socketserver",
        "http",
        "urllib",
        "ftplib",
        "xmlrpc",
        "asyncio",
        "requests",
    }
    found = [
        f"{path.name}: {name}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
        if name and name.split(".")[0] in network
    ]
    assert found == []


def test_preflight_knows_the_name_of_a_sweep():
    register()
    with pytest.raises(ConfigError, match=r"^sweep=\.\./x must be a plain folder name"):
        preflight(["sweep=../x", "seed=1,2"])
