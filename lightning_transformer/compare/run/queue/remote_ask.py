"""Asks a program that loads torch in a job of the queue, and so whether nodes share the folder.

The question is a file that is written here and read there, the answer one that comes back.
"""

import json
import shlex
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning_transformer.compare.run.queue.engine import Engine, NotSubmitted
from lightning_transformer.compare.run.queue.record import PREFIX
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.atomic import write_atomically

EVERY = 1.0
GONE_AFTER = 10.0  # seconds out of the queue without an answer
BODY = """\
cd {cwd} || exit 1
{program} < {question} > {draft} && mv {draft} {answer}"""


def ask_in_queue(
    module: str,
    question: dict[str, Any],
    *,
    place: Path,
    engine: Engine,
    wrap: Callable[[str], str],
    say: Callable[[str], None],
) -> Any:
    """The answer of a program, as JSON; the last line that it prints.

    wrap: makes a batch script of commands. Raises ConfigError, in one line, where no answer comes
    back, because the nodes do not see the folder or do not have the program.
    """
    token = f"ask-{uuid.uuid4().hex[:12]}"
    files = {kind: (place / f"{token}.{kind}").absolute() for kind in ("in", "draft", "out", "txt")}
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(files["in"], json.dumps(question))
    body = BODY.format(
        cwd=shlex.quote(str(Path.cwd())),
        program=shlex.join([sys.executable, "-m", module]),
        question=shlex.quote(str(files["in"])),
        draft=shlex.quote(str(files["draft"])),
        answer=shlex.quote(str(files["out"])),
    )
    try:
        number = engine.submit(wrap(body), PREFIX + token, files["txt"])
    except NotSubmitted as error:
        raise ConfigError(f"the queue takes no job: {error}") from None
    say(f"checking  that the variants can run, in job {number} of {engine.kind}")
    try:
        text = _answer(files["out"], engine, PREFIX + token)
    except BaseException:
        engine.end([number], at_once=True)
        raise
    if text is None:
        raise ConfigError(_nothing(number, files["txt"], place))
    for file in files.values():
        file.unlink(missing_ok=True)
    return json.loads(text.splitlines()[-1])


def _answer(file: Path, engine: Engine, name: str) -> str | None:
    """The answer; None where the job has gone without one."""
    gone = 0.0
    while True:
        if file.exists():
            return file.read_text(encoding="utf-8")
        living = engine.living()
        if living is not None:
            gone = 0.0 if name in living.values() else gone or time.monotonic()
        if gone and time.monotonic() - gone > GONE_AFTER:
            return None
        time.sleep(EVERY)


def _nothing(number: str, log: Path, place: Path) -> str:
    """Why no answer came."""
    if not log.exists():
        return (
            f"job {number} left nothing in {place}: the nodes have to see this folder; work in one "
            "on a file system that they share, such as your home"
        )
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"job {number} could not check the variants: {lines[-1].strip() if lines else log}"
