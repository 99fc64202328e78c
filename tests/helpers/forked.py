"""`python -m MODULE` in a process that has loaded torch and Lightning already, but run nothing.

A new interpreter takes longer to load them than a short run takes. For tests of what a command
does; those of how an interpreter starts (locale, console, imports) start one.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path

from lightning_transformer.compare.run.process import PRELOAD, blocked_signals, own_session
from lightning_transformer.tasks import causal_lm
from tests.conftest import SAMPLED
from tests.helpers.short_runs import environment

LONGEST = 300.0  # seconds


def run_module(words: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """What `python -m WORDS` does in this folder, with nothing to read on standard input."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with blocked_signals():  # tests of comparisons in this process share the server
        forkserver.ensure_running()
    with tempfile.TemporaryDirectory() as folder:
        texts = [Path(folder) / name for name in ("out", "err")]
        args = (list(words), str(cwd), environment(), [str(path) for path in texts])
        process = context.Process(target=_run, args=args)
        process.start()
        process.join(LONGEST)
        assert process.exitcode is not None, f"still at work after {LONGEST} s: {words}"
        out, err = (path.read_text(encoding="utf-8") for path in texts)
    return subprocess.CompletedProcess(list(words), process.exitcode, out, err)


def _run(words: list[str], cwd: str, env: dict[str, str], texts: list[str]) -> None:
    """In the process: take the place of a new interpreter."""
    own_session()
    if any(word.startswith("trainer.devices=") for word in words):
        # Other processes of the run do not know of a shorter one, and wait for each other's steps.
        causal_lm.SAMPLE_LENGTH = SAMPLED
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    opened = [os.open(os.devnull, os.O_RDONLY)]
    opened += [os.open(path, os.O_WRONLY | os.O_CREAT) for path in texts]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
    sys.path.insert(0, cwd)
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
