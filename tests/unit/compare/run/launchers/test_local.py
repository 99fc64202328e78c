"""The launcher that a command has without saying so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightning_transformer.compare.run.launchers.chosen import launcher_of
from lightning_transformer.compare.run.launchers.local import Local
from lightning_transformer.compare.run.launchers.slurm import Slurm
from lightning_transformer.compare.run.machine import machine_for
from lightning_transformer.compare.run.request import read_request
from lightning_transformer.config.compose import check_launcher, composer, preflight, register
from lightning_transformer.config.validate import plain
from lightning_transformer.errors import ConfigError
from tests.unit.compare.run.fake_jobs import plan

TYPED = ("norm=layernorm,rmsnorm", "seeds=3", "lr=fixed")


def read(*words):
    register()
    with composer() as loader:
        return read_request([*TYPED, *words], loader)


def test_jobs_of_this_machine_are_as_many_as_it_has_room_for():
    variants = plan("a", "b").variants
    assert Local().machine(variants, 4, 1, None) == machine_for(variants, 4, 1)


def test_where_runs_are_done_is_no_part_of_what_is_compared():
    here = read()
    there = read("launcher=slurm", "launcher.partition=big", "workers=9")
    assert there.launcher == ("launcher=slurm", "launcher.partition=big")
    assert there.identity == here.identity
    assert (there.shared, there.name) == (here.shared, here.name)
    assert replace(here, launcher=(), typed=()) == replace(
        there, launcher=(), typed=(), workers=None
    )


def test_the_options_reach_the_launcher():
    assert isinstance(launcher_of(read()), Local)
    found = launcher_of(
        read("launcher=slurm", "launcher.pack=3", "launcher.extra=['--exclude=n1']")
    )
    assert isinstance(found, Slurm)
    assert found.pack == 3


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("launcher=slurm,local", r"^launcher=slurm,local: all runs have one launcher"),
        ("launcher.cpus=1,2", r"all runs have one launcher; give it one"),
    ],
)
def test_several_launchers_are_refused(word, line):
    with pytest.raises(ConfigError, match=line):
        read("launcher=slurm", word)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["launcher=slrm"], "unknown option launcher=slrm; did you mean slurm?"),
        (["launcher=slurm", "launcher.cpu=1"], "unknown key launcher.cpu; did you mean launcher.c"),
        (["launcher=slurm", "launcher.cpus=many"], "launcher.cpus=many must be a whole number"),
        (["launcher.cpus=2"], "unknown key launcher.cpus"),
    ],
)
def test_options_that_a_launcher_does_not_have_are_refused(words, line):
    register()
    with pytest.raises(ConfigError) as refused:
        preflight(words)
    assert str(refused.value).startswith(line)


def test_a_run_by_itself_refuses_a_launcher_and_does_not_record_one():
    for typed in (["launcher=slurm"], ["seed=1", "launcher.pack=2"]):
        with pytest.raises(ConfigError, match=r"is for `python -m lightning_transformer\.compare"):
            check_launcher(typed)
    check_launcher(["launcher=local", "hydra/launcher=joblib"])
    with composer():
        from lightning_transformer.config.compose import composed

        assert "launcher" not in plain(composed([]))
