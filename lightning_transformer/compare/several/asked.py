"""The arguments of `compare run` that ask for several comparisons: ladder=, tasks=, data=A,B."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lightning_transformer.compare.across.parts import LADDER, TASKS
from lightning_transformer.compare.run.command import read
from lightning_transformer.compare.run.request import FIXED_SEEDS, Request, split_flags
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.folder_name import check_folder_name

OWN = ("ladder", "tokens_per_param", "tasks")
# Their commas separate no values that are compared.
NOT_SWEPT = ("seeds", "baseline", "lr", "tune", "eval", "name", *OWN)
TOKENS_PER_PARAM = 20.0  # Hoffmann et al. 2022
LEAST, MOST = 3, 8  # rungs
# What the rule of a ladder sets by itself; a value that was typed would have no effect.
SET_BY_LADDER = {
    "trainer.max_steps": "tokens_per_param= sets the steps of each rung",
}
SHAPE = ("model.d_model", "attention.n_heads", "model.n_layers", "model.n_encoder_layers",
         "model.n_decoder_layers")  # fmt: skip


@dataclass(frozen=True)
class SeveralRequest:
    """Several comparisons as the user asked for them.

    Attributes:
        typed: the overrides and keys of each of them, without flags and its own overrides.
        request: what these alone ask for.
        rungs: number of sizes; 0 without a ladder.
        tasks: overrides of each task.
    """

    typed: tuple[str, ...]
    request: Request
    rungs: int = 0
    tokens_per_param: float = TOKENS_PER_PARAM
    tasks: tuple[tuple[str, ...], ...] = ()

    @property
    def kind(self) -> str:
        return LADDER if self.rungs else TASKS

    @property
    def name(self) -> str:
        """Of the common folder."""
        return self.request.name

    @property
    def is_named(self) -> bool:
        """Whether the user gave it a name."""
        return any(text.startswith("name=") for text in self.typed)

    @property
    def identity(self) -> dict[str, str]:
        """What the parts are made from, as text."""
        own = (
            {"ladder": str(self.rungs), "tokens_per_param": f"{self.tokens_per_param:g}"}
            if self.rungs
            else {"tasks": ",".join("+".join(task) for task in self.tasks)}
        )
        return {**own, "comparison": json.dumps(self.request.identity, sort_keys=True)}


def asks_for_several(argv: Sequence[str]) -> bool:
    """Whether the arguments ask for more than one comparison."""
    keys = [text.partition("=")[0] for text in argv]
    return bool({*OWN} & {*keys}) or bool(_swept_data(argv))


def read_several_request(argv: Sequence[str]) -> SeveralRequest:
    """Read the arguments. Raises ConfigError, in one line, for what is no such comparison."""
    config_dirs, dry_run, typed = split_flags(argv)
    own, rest = _own(typed)
    if swept := _swept_data(rest) if "tasks" not in own else "":
        rest = [text for text in rest if text != swept]
        own["tasks"] = swept.partition("=")[2]
    if "ladder" in own and "tasks" in own:
        raise ConfigError("ladder= and several tasks are two questions; ask one at a time")
    if "tokens_per_param" in own and "ladder" not in own:
        raise ConfigError("tokens_per_param= is of a ladder; write ladder=3 too, or leave it out")
    if not any(text.startswith("seeds=") for text in rest):
        rest.append(f"seeds={FIXED_SEEDS}")
    flags = [*(f"--config-dir={folder}" for folder in config_dirs), *["--dry-run"] * dry_run]
    request = read([*flags, *rest])
    if request.halving:
        raise ConfigError(
            "halving= stops variants, which then have no effect in that part; leave it out"
        )
    if request.is_adaptive:
        raise ConfigError(
            "seeds=A..B adds seeds to some variants, and sizes and tasks need the same ones of "
            f"all; write seeds={FIXED_SEEDS}"
        )
    if "ladder" in own:
        found = SeveralRequest(
            tuple(rest), request, _rungs(own["ladder"]), _tokens(own.get("tokens_per_param"))
        )
        _check_ladder(request)
    else:
        found = SeveralRequest(tuple(rest), request, tasks=_tasks(own["tasks"], request))
    return found if found.is_named else _named(found)


def _own(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    own: dict[str, str] = {}
    rest = []
    for argument in argv:
        key, sign, value = argument.partition("=")
        if not sign or key not in OWN:
            rest.append(argument)
        elif key in own:
            raise ConfigError(f"{key} is given twice: {key}={own[key]} and {argument}")
        else:
            own[key] = value
    return own, rest


def _swept_data(argv: Sequence[str]) -> str:
    """data=A,B where another key has several values too: then data sets are tasks."""
    several = [text for text in argv if re.match(r"[^-=][^=]*=[^\[{(]*,", text)]
    several = [t for t in several if t.partition("=")[0] not in NOT_SWEPT]
    data = [text for text in several if text.startswith("data=")]
    return data[0] if len(data) == 1 and len(several) > 1 else ""


def _rungs(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text) or not LEAST <= int(text) <= MOST:
        raise ConfigError(
            f"ladder={text} must be a number of sizes from {LEAST} to {MOST}, such as ladder=3"
        )
    return int(text)


def _tokens(text: str | None) -> float:
    try:
        value = TOKENS_PER_PARAM if text is None else float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ConfigError(f"tokens_per_param={text} must be a number above 0, such as 20")
    return value


def _check_ladder(request: Request) -> None:
    """Refuse what the ladder sets by itself."""
    typed = {text.partition("=")[0].lstrip("+") for text in request.shared}
    for key, why in SET_BY_LADDER.items():
        if key in typed or key in request.swept:
            raise ConfigError(f"{key} has no effect with ladder=: {why}; leave {key} out")
    if compared := [key for key in SHAPE if key in request.swept]:
        raise ConfigError(f"{compared[0]} is compared and would be set by ladder=; leave one out")


def _tasks(text: str, request: Request) -> tuple[tuple[str, ...], ...]:
    """`pydocs,model=encoder_decoder+data=restore`: overrides of each task; a bare word is data."""
    parts = text.strip("[]").split(",")
    tasks = tuple(
        tuple(word if "=" in word else f"data={word}" for word in part.split("+")) for part in parts
    )
    if len(tasks) < 2 or not all(all(part.split("+")) for part in parts):
        raise ConfigError(
            f"tasks={text} must name two tasks at least, data sets or overrides joined by +, such "
            "as tasks=pydocs,model=encoder_decoder+data=restore"
        )
    if len(set(tasks)) < len(tasks):
        raise ConfigError(f"tasks={text}: a task is given twice; name each once")
    for key in {word.partition("=")[0] for task in tasks for word in task}:
        if key in request.swept:
            raise ConfigError(f"{key} is compared and set by tasks=; leave one out")
        if any(shared.partition("=")[0] == key for shared in request.shared):
            raise ConfigError(f"{key} is given twice, also in tasks=; leave one out")
    return tasks


def _named(found: SeveralRequest) -> SeveralRequest:
    """A name that no comparison of one size or task has."""
    digest = hashlib.sha256(json.dumps(found.identity, sort_keys=True).encode()).hexdigest()[:6]
    stem = found.request.name.rpartition("-")[0]
    name = f"{stem}-{found.kind}-{digest}"
    check_folder_name("name", name)
    return replace(found, request=replace(found.request, name=name))
