import json
import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_transformer.runs.naming import free_folder, job_name
from lightning_transformer.runs.result import RunResult

SIGNS = set("._=,+-")


def is_plain_name(name):
    """Letters, digits, accents and SIGNS, with no dot at either end."""
    marks = [c for c in name if not c.isalnum() and unicodedata.category(c)[0] not in "MN"]
    return name != "" and set(marks) <= SIGNS and name[0] != "." and name[-1] != "."


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (
            ["norm=rmsnorm", "seed=1", "trainer.max_steps=20", "sweep=norms"],
            "norm=rmsnorm,trainer.max_steps=20,seed=1",
        ),
        (
            ["seed=2", "optimizer.lr=1e-3", "norm=layernorm", "activation=swiglu", "norm.eps=1e-6"],
            "activation=swiglu,norm=layernorm,norm.eps=1e-6,optimizer.lr=1e-3,seed=2",
        ),
        (["+model.extra=3", "++norm=rmsnorm"], "++norm=rmsnorm,+model.extra=3"),
        (["hydra.verbose=true", "hydra/launcher=joblib", "+hydra.a=1", "resume=auto"], "default"),
        (["sweep=norms", "~resume", "~hydra.verbose"], "default"),
        ([], "default"),
        (["hydrate=1"], "hydrate=1"),
        (["seed=-1"], "seed=-1"),
        (["data.path=bücher", "seed=1"], "data.path=bücher,seed=1"),
    ],
)
def test_names_by_hand(overrides, name):
    assert job_name(overrides) == name


def test_the_order_of_overrides_does_not_matter():
    overrides = ["norm=rmsnorm", "seed=1", "model.d_model=64", "activation=relu"]
    assert job_name(overrides) == job_name(overrides[::-1])


@pytest.mark.parametrize(
    ("a", "b", "readable"),
    [
        ("data.path=a/b", "data.path=a-b", "data.path=a-b"),
        ("data.path=a/b", "data.path=a b", "data.path=a-b"),
        ("~norm", "-norm", "-norm"),
        ("x=[1,2]", "x=(1,2)", "x=-1,2-"),
        ("lr=1.", "lr=1", "lr=1-"),
    ],
)
def test_replaced_characters_leave_a_readable_name_of_its_own(a, b, readable):
    assert re.fullmatch(re.escape(readable) + "-[0-9a-f]{6}", job_name([a]))
    assert job_name([a]) != job_name([b])


def test_long_names_are_cut_and_stay_apart():
    long = [f"model.option_{i:02d}=value" for i in range(20)]
    name = job_name([*long, "seed=1"])
    assert len(name) == 120
    assert name.startswith("model.option_00=value,model.option_01=value,")
    assert re.search("-[0-9a-f]{8}$", name)
    assert name != job_name([*long, "seed=2"])
    exact = "a=" + "b" * 118
    assert job_name([exact]) == exact
    assert len(job_name([exact + "b"])) == 120
    assert len(job_name(["a=/" + "b" * 117])) == 120
    assert job_name(["a=" + "ü" * 59]) == "a=" + "ü" * 59  # 120 bytes
    assert re.fullmatch("a=ü{54}-[0-9a-f]{8}", job_name(["a=" + "ü" * 60]))  # no half letter


def test_two_spellings_of_an_accent_look_the_same_and_stay_apart():
    composed, apart = (unicodedata.normalize(form, "a=größe") for form in ("NFC", "NFD"))
    assert job_name([composed]) == composed
    assert re.fullmatch(f"{composed}-[0-9a-f]{{6}}", job_name([apart]))


HOSTILE = ["..", ".", "../..", "/etc/passwd", "a/../../b", "C:\\x", "~", "a\0b", "x=../../y", "\n"]
HOSTILE += ["a\u202eb", "a\u2215b", "\u3000", "\ud800"]


@pytest.mark.parametrize("override", HOSTILE)
def test_hostile_overrides_stay_in_the_parent(tmp_path, override):
    name = job_name([override])
    assert is_plain_name(name), name
    assert free_folder(tmp_path, name, "x").parent == tmp_path


@given(st.lists(st.text(), max_size=5))
def test_any_overrides_give_a_plain_name(overrides):
    name = job_name(overrides)
    assert is_plain_name(name), name
    assert len(name.encode()) <= 120


@pytest.mark.parametrize("name", [*HOSTILE, "", "a/b", "..a", "a.", "a\\b"])
def test_free_folder_refuses_a_name_that_is_not_plain(tmp_path, name):
    with pytest.raises(ValueError, match="must be a plain name") as caught:
        free_folder(tmp_path, name, "x")
    assert "\n" not in str(caught.value)


def test_a_folder_of_another_configuration_is_not_taken(tmp_path):
    first = tmp_path / "norm=rmsnorm"
    assert free_folder(tmp_path, "norm=rmsnorm", "one") == first
    first.mkdir()
    assert free_folder(tmp_path, "norm=rmsnorm", "one") == first  # no result yet
    RunResult(config_sha256="one").write(first)
    assert free_folder(tmp_path, "norm=rmsnorm", "one") == first
    second = tmp_path / "norm=rmsnorm~2"
    assert free_folder(tmp_path, "norm=rmsnorm", "two") == second
    second.mkdir()
    RunResult(config_sha256="two").write(second)
    assert free_folder(tmp_path, "norm=rmsnorm", "two") == second
    assert free_folder(tmp_path, "norm=rmsnorm", "three") == tmp_path / "norm=rmsnorm~3"


@pytest.mark.parametrize("text", ["{", json.dumps({"schema": 1}), json.dumps({"schema": 7})])
def test_a_result_that_says_nothing_of_its_configuration_is_kept(tmp_path, text):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "result.json").write_text(text)
    assert free_folder(tmp_path, "a", "one") == tmp_path / "a~2"


def test_naming_folders_needs_no_torch():
    code = (
        "import sys; import lightning_transformer.runs.naming; "
        "print([m for m in ('torch', 'lightning') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
