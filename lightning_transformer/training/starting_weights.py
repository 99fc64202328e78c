"""init_from: trained weights for a new model, strict but for what the run declares new."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class
from omegaconf import DictConfig
from torch import Tensor

from lightning_transformer.build import merged_weights, refusing
from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.run_files import CONFIG, LABELS, RunFiles
from lightning_transformer.convert.init_from import KEY, start_of
from lightning_transformer.convert.model_folder import ModelFolder
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.pretrained import PretrainedVocabulary
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.init.base import draw_weights
from lightning_transformer.nn.position.learned import Learned
from lightning_transformer.runs.result import RunResult
from lightning_transformer.runs.trusted_targets import PACKAGE
from lightning_transformer.runs.untrusted import stored_config, stored_labels
from lightning_transformer.tasks.token_task import TokenTask

SHOWN = 5  # names in a line
OF_TOKENS = ("embedding.weight", "task.head.weight", "task.head.bias")  # a row for each


@dataclass(frozen=True)
class StartingWeights:
    """Where the weights of a run come from; what a result records of it.

    family: as `model_type` has it, or `run`. sha256: of the weights. fresh: names drawn anew.
    """

    path: str
    family: str
    sha256: str
    fresh: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def begin_with_weights(
    cfg: DictConfig,
    model: Transformer,
    begun: store.Checkpoint | None,
    result: RunResult,
    say: Callable[[str], None],
) -> None:
    """Begin with the weights of init_from; where a run goes on, recall which those were.

    begun: the checkpoint from which it goes on. Raises ConfigError in one line.
    """
    if begun is not None:
        result.init_from = dict(begun.facts.get("init_from", {}))
        result.fresh = list(begun.facts.get("fresh", []))
    elif cfg.init_from is not None:
        with refusing(cfg, KEY):
            taken = load_start(cfg, model, say, cfg.init_seed).facts()
        result.fresh = taken.pop("fresh")
        result.init_from = taken


def load_start(
    cfg: DictConfig, model: Transformer, say: Callable[[str], None], seed: int | None = None
) -> StartingWeights:
    """Put the weights of init_from into a model, and say in a line what was taken.

    Every weight of the model must be there with its shape, and every weight there must have a
    place, but for the parts of another task and for what `fresh` names. A table of learned
    positions may be longer than the model's, one of tokens shorter by the rows that `tokenizer.add`
    asks for. seed: of what is new, where the model has no initial weights yet.
    Raises ValueError in one line.
    """
    place = str(cfg.init_from)
    start = start_of(place)
    wanted = model.state_dict()
    given, origin, same_task = _read(start, model, wanted)
    _cut_positions(given, model)
    patterns = [str(pattern) for pattern in cfg.fresh]
    fresh = _fresh(given, wanted, patterns, same_task)
    grown = _grown(given, wanted, fresh, model)
    if seed is not None:
        draw_weights(model, model.init, seed, only=fresh | grown)
    for name in grown:
        given[name] = torch.cat((given[name], wanted[name][len(given[name]) :]))
    _check_fits(given, wanted, fresh, place)
    taken = {n: w for n, w in given.items() if n in wanted and n not in fresh}
    with torch.no_grad():
        for name, weight in taken.items():
            wanted[name].copy_(weight)
    unused = [name for name in given if name not in wanted]
    unused += start.unused() if isinstance(start, ModelFolder) else []
    new = [name for name in wanted if name in fresh]
    say(_line(len(taken), place, unused, new, model.task.vocabulary if grown else None))
    return StartingWeights(place, origin[0], origin[1], new)


def _read(
    start: ModelFolder | Path, model: Transformer, wanted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, str], bool]:
    """Weights under our names, family and digest, and whether the head is of the same task."""
    if isinstance(start, ModelFolder):
        weights = start.weights()
        _tie(weights, wanted)
        same = isinstance(model.task, TokenTask) and any(n.startswith("task.") for n in weights)
        return weights, (start.family_name, start.digest()), same
    files = RunFiles(start)
    best = store.best(files.checkpoints) or store.last(files.checkpoints)
    if best is None:
        raise ValueError(f"{KEY}={start} has no checkpoint; let the run reach its first validation")
    weights = merged_weights(start, "best" if store.best(files.checkpoints) else "last")
    task = stored_config(start / CONFIG).get("model", {}).get("task", {})
    kind = type(model.task)
    same = str(task.get("_target_")) == f"{kind.__module__}.{kind.__qualname__}"
    same = same and list(model.task.labels) == stored_labels(start / LABELS)
    same = same or _same_output(str(task.get("_target_")), model, weights, wanted)
    digest = best.files[store.STATE]["sha256"] if store.STATE in best.files else str(best.files)
    return weights, ("run", str(digest)), same


def _same_output(
    target: str, model: Transformer, weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> bool:
    """Whether a run of another task has the same output over the vocabulary, and nothing else.

    target: the class of its task; one of a plug-in is another task.
    """
    if not target.startswith(f"{PACKAGE}.tasks.") or not isinstance(model.task, TokenTask):
        return False
    kind = get_class(target)
    own = {n: tuple(w.shape) for n, w in weights.items() if n.startswith("task.")}
    asked = {n: tuple(w.shape) for n, w in wanted.items() if n.startswith("task.")}
    return (
        issubclass(kind, TokenTask)
        and own == asked
        and all(n.startswith("task.head.") for n in own)
    )


def _tie(given: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Give a tied output layer its table, which a file holds once."""
    head, table = "task.head.weight", "embedding.weight"
    if head in wanted and head not in given and table in given:
        tied = wanted[head].data_ptr() == wanted[table].data_ptr()
        given |= {head: given[table]} if tied else {}


def _cut_positions(given: dict[str, Tensor], model: Transformer) -> None:
    """Keep as many learned positions as the rows have; ValueError where there are too few."""
    for name, module in model.named_modules():
        key = f"{name}.table.weight"
        if isinstance(module, Learned) and key in given:
            n, there = module.table.num_embeddings, len(given[key])
            if n > there:
                extra = model.task.n_extra_tokens
                raise ValueError(
                    f"data.seq_len={n - extra} is beyond the {there} learned positions of {KEY}, "
                    f"of which {extra} are for special tokens; use data.seq_len={there - extra}"
                )
            given[key] = given[key][:n]


def _fresh(
    given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    patterns: Sequence[str],
    same_task: bool,
) -> set[str]:
    """Names that are drawn anew; ValueError for a pattern that no name fits."""
    names = {*given, *wanted}
    found = set() if same_task else {name for name in names if name.startswith("task.")}
    for pattern in patterns:
        hit = {name for name in names if fnmatchcase(name, pattern)}
        if not hit:
            some = ", ".join(sorted(wanted)[:3])
            raise ValueError(
                f"fresh=[{pattern}] fits no name of a weight, such as {some}; correct it, or leave "
                "it out"
            )
        found |= hit
    return found


def _grown(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], fresh: set[str], model: Transformer
) -> set[str]:
    """Names of tables to which the vocabulary adds rows."""
    words = model.task.vocabulary
    n = words.n_new_rows if isinstance(words, PretrainedVocabulary) else 0
    return {
        name
        for name in OF_TOKENS
        if n and name in given and name in wanted and name not in fresh
        if len(wanted[name]) == len(given[name]) + n
    }


def _check_fits(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], fresh: set[str], place: str
) -> None:
    """Refuse weights of another model; the first five differences say which one it might be."""
    rest = {name: tuple(w.shape) for name, w in wanted.items() if name not in fresh}
    there = {name: tuple(w.shape) for name, w in given.items() if name not in fresh}
    faults = [f"{name} is missing" for name in rest if name not in there]
    faults += [f"{name} has no place" for name in there if name not in rest]
    faults += [
        f"{name} is {there[name]} and not {shape}"
        for name, shape in rest.items()
        if name in there and there[name] != shape
    ]
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ValueError(
            f"{KEY}={place} does not fit this model: {'; '.join(faults[:SHOWN])}{more}; leave out "
            "what changes the model, or name what is to be new: 'fresh=[\"PATTERN\"]'"
        )


def _modules(names: Sequence[str]) -> list[str]:
    """The modules that weights belong to, each once."""
    kinds = (".weight", ".bias")
    return list(dict.fromkeys(n.rpartition(".")[0] if n.endswith(kinds) else n for n in names))


def _line(
    n: int, place: str, unused: Sequence[str], new: Sequence[str], grown: Vocabulary | None
) -> str:
    parts = [f"{n} tensors from {place}"]
    rows = grown.added if isinstance(grown, PretrainedVocabulary) else ()
    for what, names in (("not used", _modules(unused)), ("new rows", rows), ("new", new)):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            parts.append(f"{what}: {', '.join(names[:SHOWN])}{more}")
    return f"{parts[0]}{', ' if len(parts) > 1 else ''}{'; '.join(parts[1:])}"
