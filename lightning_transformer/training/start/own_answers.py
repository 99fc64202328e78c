"""Preferences out of questions with one right answer, by what the model answers at the start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from lightning_transformer.build import refusing
from lightning_transformer.checkpoint import store
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Pair, Preference
from lightning_transformer.data.loading.train_loader import check_batch_size
from lightning_transformer.data.sources.preferences import short_preferences
from lightning_transformer.data.split import Split
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.decoding.sampler import make_sampler, row_seed
from lightning_transformer.decoding.sampling import Sampling
from lightning_transformer.distributed.processes import is_first
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.result import RunResult
from lightning_transformer.tasks.continuations import with_start
from lightning_transformer.tasks.reference import evaluating

FILE = "preferences.jsonl"
N_ANSWERS = 8  # to each prompt, at temperature 1
PROMPTS_AT_ONCE = 64
SPLITS = ("train", "val", "test")
Drawn = dict[str, list[Preference]]


def answer_own_questions(
    cfg: DictConfig,
    model: Transformer,
    data: DataModule,
    folder: Path,
    begun: store.Checkpoint | None,
    result: RunResult,
    say: Callable[[str], None],
) -> None:
    """Turn pairs of question and answer into preferences, where the task reads these.

    The model answers each question 8 times, as it is at the start; what it draws follows from
    the seed, the question's number and that of the answer. A question becomes a pair of the first
    right and the first wrong answer. One that has not both is left out of training, and kept
    without a second answer in the other splits. All is written into the run folder once, from where
    a run that goes on reads it.
    Raises ConfigError where a split has no pair, and in one line for a damaged file.
    """
    if model.task.made_from is not data.example:
        return
    path = folder / FILE
    with refusing(cfg, "data"):
        if begun is not None:
            found = _read(path)
        else:
            if int(cfg.trainer.num_nodes) > 1:
                raise ValueError(
                    f"trainer.num_nodes={cfg.trainer.num_nodes}: answers are drawn on one machine; "
                    "use trainer.num_nodes=1, or data=preferences with a file"
                )
            found = {split: draw(model, data, split, cfg.seed) for split in data.splits}
            if is_first():
                _write(path, found, data.vocabulary)
        data.splits = {name: _split(name, rows, data) for name, rows in found.items()}
        check_batch_size(data.batch_size, len(data.splits["train"]), int(cfg.trainer.accumulate), 1)
    sha256 = _sha256(data.identity.sha256, found)
    counts = {name: sum(len(e.rejected) > 0 for e in rows) for name, rows in found.items()}
    data.identity = replace(data.identity, sha256=sha256)
    result.data["preferences"] = {"sha256": sha256, **counts}
    say(
        f"{counts['train']:,} training questions have a right and a wrong answer among {N_ANSWERS} "
        f"of the model at the start; all pairs are in {FILE}"
    )


def stored_preferences(folder: Path, data: DataModule, split: str) -> Split:
    """The preferences of one split that a run has drawn; ValueError in one line without them."""
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"{path} is missing, with the pairs that the run has drawn; put it back")
    return _split(split, _read(path).get(split, []), data)


def draw(model: Transformer, data: DataModule, split: str, seed: int) -> list[Preference]:
    """The preferences of a split; see `answer_own_questions`. No training changes them."""
    examples = [data.splits[split].get(i, 0) for i in range(len(data.splits[split]))]
    pairs = [e for e in examples if isinstance(e, Pair)]
    longest = max(len(pair.target) for pair in pairs) + 1
    found = []
    for start in range(0, len(pairs), PROMPTS_AT_ONCE):
        part = pairs[start : start + PROMPTS_AT_ONCE]
        rows = [with_start(model.task.vocabulary, p.source) for p in part for _ in range(N_ANSWERS)]
        places = [(start + i, k) for i in range(len(part)) for k in range(N_ANSWERS)]
        seeds = [row_seed(seed, SPLITS.index(split), *place) for place in places]
        sampler = make_sampler(Sampling(1.0), seeds)
        with evaluating(model):
            answers = generate_tokens(model, rows, max_new_tokens=longest, sampler=sampler)
        for i, pair in enumerate(part):
            own = answers[i * N_ANSWERS : (i + 1) * N_ANSWERS]
            wrong = first_wrong(pair.target, own, longest)
            if split != "train" or len(wrong):
                found.append(Preference(pair.source, pair.target, wrong))
    return found


def first_wrong(target: np.ndarray, answers: Sequence[list[int]], longest: int) -> np.ndarray:
    """The first wrong answer, where one is right too; else nothing.

    An answer that has not ended within `longest` tokens is none, and neither is an empty one.
    """
    right = target.tolist()
    ended = [answer for answer in answers if 0 < len(answer) < longest]
    wrong = [answer for answer in ended if answer != right]
    kept = wrong[0] if wrong and right in ended else []
    return np.array(kept, dtype=target.dtype)


def _split(name: str, rows: list[Preference], data: DataModule) -> Split:
    split = short_preferences(name, rows, data.seq_len) if rows else None
    if split is None or not any(len(row.rejected) for row in rows):
        raise ValueError(
            f"data={data.name}: no {name} question has a right and a wrong answer among "
            f"{N_ANSWERS} of the model at the start; start with one that knows some answers, by "
            "init_from=FOLDER, or use data=preferences with a file"
        )
    return split


def _write(path: Path, found: Drawn, vocabulary: Vocabulary) -> None:
    """A line for each question: its texts, to be read by a person, and their ids."""
    lines = []
    for split, rows in found.items():
        for row in rows:
            texts = {k: vocabulary.decode(v) for k, v in row._asdict().items()}
            ids = [part.tolist() for part in row]
            lines.append(json.dumps({"split": split, **texts, "ids": ids}, ensure_ascii=False))
    write_atomically(path, "\n".join(lines) + "\n")


def _read(path: Path) -> Drawn:
    """What `_write` wrote. Raises ValueError in one line where that cannot be read."""
    found: Drawn = {}
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                content = json.loads(line)
                sides = [np.array([int(i) for i in ids], np.int32) for ids in content["ids"]]
                found.setdefault(str(content["split"]), []).append(Preference(*sides))
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} cannot be read ({reason}); put it back") from None
    return found


def _sha256(data_sha256: str, found: Drawn) -> str:
    """Of the questions and their answers."""
    sha = hashlib.sha256(data_sha256.encode())
    for split, rows in found.items():
        ids = [[part.tolist() for part in row] for row in rows]
        sha.update(json.dumps([split, ids]).encode())
    return sha.hexdigest()
