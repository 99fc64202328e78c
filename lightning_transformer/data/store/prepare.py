"""From a source to its encoded corpus: taken from the cache, or made there."""

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from lightning_transformer.data.cleaning.clean import Cleaned, Report, clean
from lightning_transformer.data.cleaning.spool import Spool
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.loading.data_digest import (
    DataIdentity,
    count,
    count_duplicates,
    identify,
    n_bytes,
    warn_duplicates,
)
from lightning_transformer.data.packing.rows import Joined
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.data.store import corpus
from lightning_transformer.data.store.example_files import open_examples, write_examples
from lightning_transformer.data.store.inputs import stamp
from lightning_transformer.data.store.kept_encodings import KeptEncodings, remove_encodings
from lightning_transformer.data.store.write import opened, write_all
from lightning_transformer.data.tokenizers.base import Tokenizer, Vocabulary
from lightning_transformer.data.tokenizers.file import load_vocabulary
from lightning_transformer.hardware.allocator import return_freed_memory

log = logging.getLogger(__name__)


class EncodedData(NamedTuple):
    """The encoded data of a source: what `DataModule.prepare` sets.

    splits: of text its tokens, which are still to be packed; else examples. cleaned: what the
    stages of cleaning did.
    """

    identity: DataIdentity
    vocabulary: Vocabulary
    labels: list[str]
    splits: Mapping[str, Joined | ExampleList]
    cleaned: Report


def read_checked(source: Any) -> Mapping[str, Iterable[Record]]:
    """Read the records of a source. Raises ValueError for an empty split."""
    records: Mapping[str, Iterable[Record]] = source.read()
    for split, items in records.items():
        if next(iter(items), None) is None:
            hint = "" if split == "train" else f", or raise data.{split}_fraction"
            raise ValueError(f"data.{split} is empty (0 examples in {source.name}); add data{hint}")
    return records


def train_tokenizer(tokenizer: Tokenizer, records: Mapping[str, Iterable[Record]]) -> Vocabulary:
    """The vocabulary of the training split."""
    return tokenizer.train(text for record in records["train"] for text in record.learned())


def open_corpus(source: Any) -> EncodedData:
    """Take the encoded text of a source from the cache, or encode it there.

    One process encodes, others wait; what was interrupted goes on. Raises ValueError for what the
    source refuses, and where the cache cannot be written.
    """
    stamps = [stamp(path) for path in source.inputs()]
    made_of = corpus.ingredients(source, source.inputs())
    folder = corpus.folder_of(made_of)
    with refusing_bad_cache(folder):
        try:
            manifest = corpus.read_manifest(folder)
        except (FileNotFoundError, ValueError):
            with corpus.making(folder, source.name):
                manifest = _made(folder, source, made_of, stamps)
            for old in corpus.shrink(source.cache_gb * 1e9, keep=folder):
                log.info("removed from the cache, as data.cache_gb asks: %s", old.folder)
    warn_duplicates(source.name, manifest["duplicates"], manifest["n_records"])
    vocabulary = load_vocabulary(folder / corpus.VOCABULARY)
    source.vocabulary = vocabulary  # and the one that encoded can go
    identity, splits = (
        DataIdentity(**manifest["identity"]),
        _opened(folder, source, manifest, vocabulary),
    )
    return_freed_memory()  # of the encoding, which the training does not need
    return EncodedData(identity, vocabulary, manifest["labels"], splits, manifest["cleaned"])


@contextmanager
def refusing_bad_cache(folder: Path) -> Iterator[None]:
    """Within, an error of the disk is a ValueError of one line. folder: in the cache."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"the cache cannot be used ({error.strerror}: {error.filename or folder}); set "
            "LIGHTNING_TRANSFORMER_CACHE to a folder with space"
        ) from None


def find_corpus(source: Any, vocabulary: Path) -> Mapping[str, Joined | ExampleList]:
    """The splits of a source in the cache, if they are encoded with this vocabulary; else {}.

    vocabulary: a tokenizer.json. The labels of the source, if it has some, must be the same, too.
    """
    wanted = corpus.comparable(corpus.ingredients(source, source.inputs()))
    for one in corpus.kept():
        try:
            if (one.folder / corpus.VOCABULARY).read_bytes() != vocabulary.read_bytes():
                continue
            manifest = corpus.read_manifest(one.folder, use=False)
            made_of = corpus.comparable(manifest["made_of"])
            if (made_of, manifest["labels"]) == (wanted, list(source.labels)):
                corpus.read_manifest(one.folder)  # it is in use
                return _opened(one.folder, source, manifest, source.vocabulary)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # incomplete, damaged, or of another version
    return {}


def _opened(
    folder: Path, source: Any, manifest: dict[str, Any], vocabulary: Vocabulary
) -> Mapping[str, Joined | ExampleList]:
    if source.example is Tokens:
        return opened(folder, manifest, vocabulary.eos_id)
    return open_examples(folder, manifest, source.example)


def _made(
    folder: Path, source: Any, made_of: dict[str, Any], stamps: list[list[int]]
) -> dict[str, Any]:
    """What another process has made meanwhile, else what this one makes."""
    try:
        return corpus.read_manifest(folder)
    except FileNotFoundError:
        return _make(folder, source, made_of, stamps)
    except ValueError as error:
        log.warning("%s is damaged (%s): encoding anew", folder, error)
        shutil.rmtree(folder)
        return _make(folder, source, made_of, stamps)


def _make(
    folder: Path, source: Any, made_of: dict[str, Any], stamps: list[list[int]]
) -> dict[str, Any]:
    """Encode a source into a folder, or go on. stamps: of its files, before they were read."""
    folder.mkdir(exist_ok=True)
    with cleaned_on_disk(source, made_of, stamps) as (records, cleaned):
        manifest = _encoded(folder, source, records) | {"made_of": made_of, "cleaned": cleaned}
        _check_unchanged(source, stamps)
        remove_encodings(folder)
        corpus.finish(folder, manifest)
        if source.stages:
            Spool(_cleaned_folder(made_of)).remove()
    return manifest


def _encoded(folder: Path, source: Any, records: Mapping[str, Iterable[Record]]) -> dict[str, Any]:
    """Encode the records of a source into a folder, or go on; what the manifest says of it."""
    totals = {split: sum(sum(n_bytes(r)) for r in items) for split, items in records.items()}
    log.info("%s: encoding %.0f MB, once, into %s", source.name, sum(totals.values()) / 1e6, folder)
    vocabulary = _vocabulary(folder, source, records)
    if source.example is Tokens:
        written = write_all(folder, dict(records), vocabulary, totals)
        n_train = len(opened(folder, written, vocabulary.eos_id)["train"].tokens) - 1
    else:
        splits = {
            split: _examples(folder, source, split, items, vocabulary, totals[split])
            for split, items in records.items()
        }
        written, n_train = write_examples(folder, splits), splits["train"].n_tokens
    return {
        **written,
        "labels": list(source.labels),
        "identity": asdict(identify(source.name, records, n_train)),
        "n_records": {split: count(items) for split, items in records.items()},
        "duplicates": count_duplicates(records),
    }


def _examples(
    folder: Path,
    source: Any,
    split: str,
    records: Iterable[Record],
    vocabulary: Vocabulary,
    total: int,
) -> ExampleList:
    """Encode the examples of a split; texts that an earlier process encoded are taken from it."""
    kept = KeptEncodings(folder, split, vocabulary, total)
    source.vocabulary = kept.vocabulary()
    examples: ExampleList = source.encode(split, records)
    kept.close()
    source.vocabulary = vocabulary
    return examples


@contextmanager
def cleaned_on_disk(
    source: Any, made_of: dict[str, Any], stamps: list[list[int]]
) -> Iterator[Cleaned]:
    """The records of a source, cleaned into files where there are stages: once, whatever uses them.

    Within, no other process cleans the same or removes it. The files stay until they are encoded.
    """
    raw = read_checked(source)
    if not source.stages:
        yield Cleaned(raw, [])
        return
    folder = _cleaned_folder(made_of)
    with corpus.making(folder, source.name):
        folder.mkdir(exist_ok=True)
        spool = Spool(folder)
        report = spool.report()
        if report is None:
            report = clean(source.stages, raw, spool.keep, source.name).report
            _check_unchanged(source, stamps)
            spool.finish(report)
        yield Cleaned(spool.records(raw), report)


def remove_cleaned(source: Any) -> None:
    """Remove the cleaned text of a source that nothing has encoded, unless a process uses it."""
    if not source.stages:
        return
    folder = _cleaned_folder(corpus.ingredients(source, source.inputs()))
    if folder.exists():
        with suppress(Timeout), FileLock(folder.with_suffix(".lock"), timeout=0):
            Spool(folder).remove()


def _cleaned_folder(made_of: dict[str, Any]) -> Path:
    """Of the cleaned text of a source, which no tokenizer changes."""
    return corpus.folder_of({key: value for key, value in made_of.items() if key != "tokenizer"})


def _check_unchanged(source: Any, stamps: list[list[int]]) -> None:
    """Refuse files that changed meanwhile: what was read would be a mixture of both."""
    if [stamp(path) for path in source.inputs()] != stamps:
        raise ValueError(f"files of {source.name} changed while they were read; start again")


def _vocabulary(folder: Path, source: Any, records: Mapping[str, Iterable[Record]]) -> Vocabulary:
    """The vocabulary, learned once also where the encoding is interrupted."""
    path = folder / corpus.VOCABULARY
    if not path.exists():
        train_tokenizer(source.tokenizer, records).save(path)
    return load_vocabulary(path)
