"""Documents to files of tokens, group by group; what is interrupted goes on where it was."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightning_transformer.data.encode import bytes_of_unknown
from lightning_transformer.data.packing.rows import Joined, token_type
from lightning_transformer.data.pieces import FilePart, cut
from lightning_transformer.data.split import Record
from lightning_transformer.data.store.columns import Column, mapped, spot_sha256
from lightning_transformer.data.store.corpus import JOURNAL
from lightning_transformer.data.store.mapped_bytes import MappedBytes
from lightning_transformer.data.store.progress import Progress
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.runs.atomic import write_atomically

GROUP = 1 << 20  # characters that are encoded at a time
MOST = 8192  # texts that are encoded at a time
BLOCK = 1 << 22  # tokens that are looked through at a time
NOTED = 5.0  # seconds after which it is noted how far the encoding is


@dataclass
class Place:
    """How far a split is: pieces of text done, tokens and ends of documents on the disk."""

    split: str
    n_pieces: int = 0
    n_tokens: int = 0
    n_ends: int = 0


def groups(
    records: Iterable[Record], vocabulary: Vocabulary, skip: int = 0
) -> Iterator[list[tuple[str, bool]]]:
    """Groups of (piece of text, whether a document ends with it), without the first `skip`."""
    group: list[tuple[str, bool]] = []
    size = number = 0
    for record in records:
        held: str | None = None
        for piece in cut(record.blocks(), vocabulary.cuts):
            if held is not None and number > skip:
                group.append((held, False))
                size += len(held)
            held, number = piece, number + 1
            if size >= GROUP:
                yield group
                group, size = [], 0
        assert held is not None, "a text has at least one piece"
        if number > skip:
            group.append((held, True))
            size += len(held)
        if size >= GROUP or len(group) >= MOST:
            yield group
            group, size = [], 0
    if group:
        yield group


def encoded(
    group: Sequence[tuple[str, bool]], vocabulary: Vocabulary
) -> tuple[np.ndarray, list[int]]:
    """Tokens of a group, with end-of-document, and how many there are at each such end."""
    eos = np.array([vocabulary.eos_id], dtype=np.int32)
    parts, ends, n = [], [], 0
    ids = vocabulary.encode_all([piece for piece, _ in group])
    for tokens, (_, is_end) in zip(ids, group, strict=True):
        parts += [tokens, eos] if is_end else [tokens]
        n += len(tokens) + is_end
        if is_end:
            ends.append(n)
    return np.concatenate(parts), ends


def write_split(
    folder: Path, records: Iterable[Record], vocabulary: Vocabulary, place: Place, total: int
) -> dict[str, Any]:
    """Encode the documents of a split from `place` on; return its entry of the manifest.

    total: bytes of its text.
    """
    tokens = Column(folder / f"{place.split}.tokens", token_type(vocabulary.eos_id))
    ends = Column(folder / f"{place.split}.ends", np.int64)
    if not (tokens.cut_to(place.n_tokens) and ends.cut_to(place.n_ends)):
        place = Place(place.split)  # less is there than was noted
        tokens.cut_to(0)
        ends.cut_to(0)
    if not tokens.size:
        tokens.append(np.array([vocabulary.eos_id]))
    noted, progress = time.monotonic(), Progress(f"{place.split} split", total)
    for group in groups(records, vocabulary, place.n_pieces):
        ids, new = encoded(group, vocabulary)
        ends.append(np.array(new, dtype=np.int64) + (tokens.size - 1))
        tokens.append(ids)
        place.n_pieces += len(group)
        progress.add(sum(len(piece.encode("utf-8", "surrogatepass")) for piece, _ in group))
        if time.monotonic() - noted >= NOTED:
            tokens.sync()
            ends.sync()
            place.n_tokens, place.n_ends = tokens.size, ends.size
            note(folder, place)
            noted = time.monotonic()
    tokens.close()
    ends.close()
    ids = mapped(folder / f"{place.split}.tokens", tokens.dtype)
    blocks = (np.asarray(ids[i : i + BLOCK]) for i in range(0, len(ids), BLOCK))
    unknown = bytes_of_unknown(place.split, total, blocks, vocabulary)
    return {"tokens": tokens.dtype.name, "n_tokens": tokens.size, "unknown_bytes": unknown}


def note(folder: Path, place: Place) -> None:
    """Note how far the encoding is; what it names is on the disk."""
    write_atomically(folder / JOURNAL, json.dumps(asdict(place)))


def noted_place(folder: Path) -> Place | None:
    """How far an interrupted encoding was; None where nothing was noted."""
    try:
        return Place(**json.loads((folder / JOURNAL).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_all(
    folder: Path,
    splits: dict[str, Iterable[Record]],
    vocabulary: Vocabulary,
    totals: dict[str, int],
) -> dict[str, Any]:
    """Encode all splits, in the order of their names; return the entries of the manifest.

    Parts of files whose bytes are their tokens are not written: the files themselves are mapped.
    """
    begun, found, files = noted_place(folder), {}, {}
    for split in sorted(splits):
        if vocabulary.is_utf8 and (parts := _plain_parts(splits[split])):
            found[split] = {"files": [[str(p.path.absolute()), p.start, p.end] for p in parts]}
            continue
        if begun is not None and split < begun.split:
            done = json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))
        else:
            place = begun if begun is not None and begun.split == split else Place(split)
            done = write_split(folder, splits[split], vocabulary, place, totals[split])
            write_atomically(folder / f"{split}.json", json.dumps(done))
        found[split] = done
        for name in (f"{split}.tokens", f"{split}.ends"):
            files[name] = spot_sha256(folder / name)
    return {"splits": found, "files": files}


def _plain_parts(records: Iterable[Record]) -> list[FilePart] | None:
    """The parts of files that the records are; None where one is something else."""
    parts = []
    for record in records:
        if record.part is None or record.part.n_crlf:
            return None
        parts.append(record.part)
    return parts


def opened(folder: Path, manifest: dict[str, Any], eos_id: int) -> dict[str, Joined]:
    """The tokens of each split of a complete corpus, mapped into memory."""
    found = {}
    for split, entry in manifest["splits"].items():
        if "files" in entry:
            bytes_ = MappedBytes([(Path(p), a, b) for p, a, b in entry["files"]], eos_id)
            found[split] = Joined(bytes_, bytes_.ends)
        else:
            found[split] = Joined(
                mapped(folder / f"{split}.tokens", entry["tokens"]),
                mapped(folder / f"{split}.ends", np.int64),
                entry.get("unknown_bytes"),
            )
    return found
