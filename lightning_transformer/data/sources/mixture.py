"""Several sources in fixed shares."""

import hashlib
import inspect
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightning_transformer.config.mixture_parts import OF_ALL, PartConfig, read_parts
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.cleaning.base import Stages, in_order
from lightning_transformer.data.cleaning.clean import report_lines
from lightning_transformer.data.loading.data_digest import DataIdentity
from lightning_transformer.data.mixing.limits import (
    by_part,
    check_end,
    check_tokens,
    check_tokens_fit,
    most_examples,
    taken,
)
from lightning_transformer.data.mixing.mixed_order import MixedOrder
from lightning_transformer.data.mixing.mixed_split import (
    EvaluationMix,
    PartSplits,
    TrainingMix,
    renumbered,
)
from lightning_transformer.data.mixing.part_records import (
    look_through,
    remove_leftovers,
    tagged,
    warn_of_duplicates,
)
from lightning_transformer.data.mixing.quota import Quota
from lightning_transformer.data.mixing.shares import check_shares, quota_weights
from lightning_transformer.data.mixing.vocabulary import learned_from_all
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.records import Records
from lightning_transformer.data.split import Record, Split
from lightning_transformer.runs.trusted_targets import PACKAGE, named_object, plugin_packages

Parts = dict[str, Any]
OWN_KEY = re.compile(r"\bdata\.(\w+)")


@dataclass(kw_only=True, eq=False)
class Mixture(DataModule):
    """Several sources of one kind of example, each with its share of every step.

    Which source a sample of the run comes from is dealt out, not drawn, see `Quota`; which example
    of the source it is follows from the seed and the name of the part, see `MixedOrder`. Each row
    is of one source. One tokenizer learns from the training texts of all, each text once.
    Validation and test have every example of every part once. Stages of cleaning work on each part
    as if it were alone, so that none depends on another; those that only look see all parts
    together. Parts of sources without stages, such as those that are made here, stay as they are.

    parts: name to {data: an option of that group, options of it, and weight, tokens or neither}.
    weight: the share of the examples, relative to those of other parts. tokens: of the part in the
    whole run; a run that takes more steps than all parts have tokens is refused. temperature T
    instead: shares in proportion to n^(1/T) of n training examples; 1 = by size, large = equal.
    max_epochs of a part: when it has been gone through so often, it gives no more, and its share
    goes to the others in proportion to theirs; a run that goes on when all parts are through, and
    tokens that are more than that, are refused.
    bucket_steps: see `DataModule`; each part keeps its places in each step. cache_gb: most GB of
    encoded data that are kept in the cache, above 0.
    Raises ValueError for parts of different kinds, for no shares or several, and for whatever a
    part refuses.
    """

    name = "mixture"

    parts: Parts
    temperature: float | None = None
    cleaning: dict | None = None
    packing: Packing
    batch_size: int = 16
    bucket_steps: int = 128
    cache_gb: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.chosen: dict[str, PartConfig] = read_parts(self.parts)
        check_shares(self.chosen, self.temperature)
        stages = in_order(self.cleaning)
        self.looking = [one for one in stages if one[1].only_looks]
        self._of_parts = {name: stage for name, stage in stages if not stage.only_looks}
        kinds = {name: _source_class(name, part) for name, part in self.chosen.items()}
        self.sources = {name: self._made(name, kind) for name, kind in kinds.items()}
        if self._of_parts and not any(source.stages for source in self.sources.values()):
            raise ValueError(
                f"cleaning.{next(iter(self._of_parts))} has no effect here: no part of the mixture "
                "has a source that can be cleaned; leave it out"
            )
        first = next(iter(self.sources))
        for name, source in self.sources.items():
            if source.example is not self.example:
                raise ValueError(
                    f"data.parts.{name}.data={self.chosen[name].source} gives "
                    f"{source.example.__name__} examples, but data.parts.{first}.data="
                    f"{self.chosen[first].source} gives {self.example.__name__}; mix sources of "
                    "one kind"
                )
        has_packing = any(hasattr(source, "packing") for source in self.sources.values())
        if not has_packing and not isinstance(self.packing, Stream):
            raise ValueError(
                f"packing has no effect on {self.example.__name__} examples; leave it out"
            )

    @property
    def example(self) -> type[Any]:  # type: ignore[override]
        """The kind of example of all parts."""
        return next(iter(self.sources.values())).example

    def _made(self, name: str, kind: type[Any]) -> DataModule:
        """The source of a part, with what all parts share."""
        takes = inspect.signature(kind).parameters
        of_all = {key: getattr(self, key) for key in OF_ALL} | {"cleaning": self._of_parts}
        shared = {key: value for key, value in of_all.items() if key in takes}
        with self._in_part(name):
            source = kind(**shared, **self.chosen[name].options)
        assert isinstance(source, DataModule)
        return source

    def own_stages(self) -> Stages:
        """None: each part has its own, and what `read` gives has been through them."""
        return ()

    def cleaning_lines(self) -> list[str]:
        """A line on what each stage did in each part, and on what was found in all together."""
        lines = [f"{n}: {line}" for n, s in self.sources.items() for line in s.cleaning_lines()]
        of_all = [entry for entry in self.cleaned if entry["part"] is None]
        return [*lines, *(f"all parts: {line}" for line in report_lines(self.looking, of_all))]

    @contextmanager
    def _in_part(self, name: str) -> Iterator[None]:
        """Within, the keys in a ValueError are those of the part."""
        part = self.chosen[name]

        def full(found: re.Match[str]) -> str:
            own = found[1] in part.options
            return f"data.parts.{name}.{found[1]}" if own else found[0]

        try:
            yield
        except ValueError as error:
            line = OWN_KEY.sub(full, str(error))
            where = "" if f"data.parts.{name}." in line else f"data.parts.{name} ({part.source}): "
            raise ValueError(where + line) from error

    def inputs(self) -> list[Path]:
        """Return the files of all parts."""
        return [path for source in self.sources.values() for path in source.inputs()]

    def floor(self) -> dict[str, float]:
        """The best values that all parts have in common."""
        found = [source.floor().items() for source in self.sources.values()]
        return {key: value for key, value in found[0] if all((key, value) in f for f in found)}

    def read(self) -> dict[str, Records]:
        """Return the cleaned records of each split, part after part by name, and set `labels`."""
        found: dict[str, Mapping[str, Any]] = {}
        for name, source in self.sources.items():
            with self._in_part(name):
                found[name] = source.read_cleaned()
        self.labels = self._all_labels()
        return tagged(found)

    def _all_labels(self) -> list[str]:
        """The labels of all parts, each once, part after part."""
        return list(dict.fromkeys(itertools.chain(*(s.labels for s in self.sources.values()))))

    def encode(self, split: str, records: Sequence[Record]) -> Split:
        """Encode what `read` gives, each record by the source that it is from."""
        splits: dict[str, Split] = {}
        for name, own in itertools.groupby(records, key=lambda record: record.source):
            assert name is not None
            source = self.sources[name]
            source.vocabulary, source.labels = self.vocabulary, self.labels
            with self._in_part(name):
                splits[name] = source.encode(split, list(own))
        return self._mixed(split, PartSplits(splits, {}))

    def _mixed(self, split: str, parts: PartSplits) -> Split:
        if split != "train":
            return EvaluationMix(parts, self.vocabulary.unk_id)
        examples = dict(zip(parts.names, parts.sizes, strict=True))
        tokens = {n: s.n_tokens for n, s in zip(parts.names, parts.splits, strict=True)}
        weights = quota_weights(self.chosen, self.temperature, examples, tokens)
        most = most_examples(self.chosen, parts.sizes)
        check_tokens_fit(self.chosen, weights, most)
        return TrainingMix(parts, Quota(weights, most))

    def prepare(self) -> None:
        """Train the tokenizer on all parts, and prepare each of them as if it were alone.

        Large parts are encoded into the cache, once. Deterministic; a second call does nothing.
        """
        if self.splits:
            return
        tokenizer = learned_from_all(self.tokenizer, self.sources, self._in_part)
        warn_of_duplicates(self.sources, self._in_part)
        looked = look_through(self.looking, self.sources, self._in_part)
        for name, source in self.sources.items():
            source.tokenizer = tokenizer
            with self._in_part(name):
                source.prepare()
            self.cleaned += [{"part": name, **entry} for entry in source.cleaned]
        remove_leftovers(self.sources)
        self.cleaned += [{"part": None, **entry} for entry in looked]
        self.vocabulary, self.labels = tokenizer.train(()), self._all_labels()
        numbers = {n: renumbered(s.labels, self.labels) for n, s in self.sources.items()}
        splits = {}
        for split in ("train", "val", "test"):
            of_parts = {n: s.splits[split] for n, s in self.sources.items() if split in s.splits}
            if of_parts:
                splits[split] = self._mixed(split, PartSplits(of_parts, numbers))
        if splits["train"].lengths is None and self.bucket_steps != 128:
            raise ValueError(
                f"data.bucket_steps={self.bucket_steps} has no effect: all rows are equally long; "
                "leave it out"
            )
        self.identity = self._identity(splits["train"].n_tokens)
        self.splits = splits

    def _identity(self, n_tokens: int) -> DataIdentity:
        """That of all parts and of how they are mixed; seq_len and tokenizer are not in it."""
        parts = {
            name: [source.identity.sha256, str(part.weight), part.tokens]
            + ([] if part.max_epochs is None else [str(part.max_epochs)])
            for (name, source), part in zip(self.sources.items(), self.chosen.values(), strict=True)
        }
        text = json.dumps({"parts": parts, "temperature": self.temperature}, sort_keys=True)
        size = sum(source.identity.bytes for source in self.sources.values())
        digest = hashlib.sha256(text.encode()).hexdigest()
        return DataIdentity(str(self.name), digest, size, n_tokens)

    @property
    def _training(self) -> TrainingMix:
        found = self.splits["train"]
        assert isinstance(found, TrainingMix)
        return found

    def _order(self) -> MixedOrder:
        return self._training.order(self._seed, self.batch_size, self.bucket_steps)

    def plan(self, n_steps: int) -> dict[str, dict[str, Any]]:
        """Share, examples and epochs of each part in so many steps, and the step it ends in.

        Raises ValueError for more steps than tokens or max_epochs of the parts allow.
        """
        quota, batch_size = self._training.quota, self.batch_size
        check_tokens(self.chosen, n_steps, batch_size, sum(quota.weights))
        check_end(quota.end, n_steps, batch_size)
        return self._by_part(self._order().counts(n_steps * batch_size), n_steps)

    def seen(self, n_steps: int) -> dict[str, dict[str, Any]]:
        """What so many steps have seen of each part: source, digest, share, examples, tokens."""
        if not isinstance(self.splits["train"], TrainingMix):
            return {}  # a callback trains on a few examples alone, as debug=overfit does
        counts, tokens = taken(self._order(), self._training.parts, self.left_out.spans(n_steps))
        found = self._by_part(counts, self.left_out.place(max(0, n_steps - 1)) + 1)
        for (name, source), n in zip(self.sources.items(), tokens, strict=True):
            found[name] |= {"tokens": n, "sha256": source.identity.sha256}
        return found

    def _by_part(self, counts: np.ndarray, n_steps: int) -> dict[str, dict[str, Any]]:
        training = self._training
        given = (training.quota, training.parts.sizes, counts, self.batch_size, n_steps)
        return by_part(self.chosen, *given)

    def losses_by_part(self, split: str, rows: np.ndarray) -> dict[str, float]:
        """Mean loss of a target of each part. rows: what `RowLosses` gives of the split."""
        found = self.splits[split]
        assert isinstance(found, EvaluationMix)
        return found.losses(rows)


def _source_class(name: str, part: PartConfig) -> type[Any]:
    """The class of a part's source, if an option may name it."""
    try:
        kind = named_object(part.target, {PACKAGE, *plugin_packages()})
    except ValueError as error:
        raise ValueError(f"data.parts.{name}.data={part.source} {error}") from None
    assert isinstance(kind, type)
    return kind
