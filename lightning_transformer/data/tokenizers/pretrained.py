"""The vocabulary of a trained model: its ids, its special tokens, what stands around a row."""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from lightning_transformer.data.files import check_file, read_text
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.file import load_vocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary
from lightning_transformer.runs.atomic import write_atomically

TOKENIZER, CONFIG = "tokenizer.json", "config.json"
NAMES = ("special_tokens_map.json", "tokenizer_config.json")  # which token has which role
# Our attribute to the roles that may fill it, the first that the model has.
ROLES = {
    "pad_id": ("pad", "eos", "sep"),
    "bos_id": ("decoder_start", "bos", "cls"),
    "eos_id": ("eos", "sep"),
    "mask_id": ("mask",),
    "cls_id": ("cls",),
    "unk_id": ("unk",),
}
# How they are usually written, for a folder that has a tokenizer.json alone.
USUAL = {
    "pad": ("[PAD]", "<pad>"),
    "bos": ("<s>", "<bos>", "<|begin_of_text|>"),
    "eos": ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>"),
    "sep": ("[SEP]",),
    "mask": ("[MASK]", "<mask>"),
    "cls": ("[CLS]",),
    "unk": ("[UNK]", "<unk>"),
}
USUAL_TEXTS = {texts[0] for texts in USUAL.values()}
MOST_ADDED = 16  # marks in a line


class PretrainedVocabulary(SubwordVocabulary):
    """Ids of a trained model, special ones among them: 0 .. size - 1, the rows of its table.

    before, after: ids that its post-processor puts around a text, such as [CLS] and [SEP].
    Marks of a task are special tokens of the model by the same names, such as <extra_id_0> of T5.
    A special id that the model lacks is a ValueError where a task asks for it, unless it was added:
    `added` are the tokens that this run adds to the model's, `n_new_rows` how many rows more its
    table then needs.
    """

    added: tuple[str, ...] = ()
    n_new_rows = 0

    def __init__(
        self, tokenizer: tokenizers.Tokenizer, size: int, special: Mapping[str, int]
    ) -> None:
        super().__init__(tokenizer)
        if self.n_text > size:
            raise ValueError(
                f"tokenizer.path: {self.n_text} tokens for a table of {size} rows; use the "
                "tokenizer.json of this model"
            )
        self.n_text = self.size = size
        self._mark_ids = np.empty(0, dtype=np.int64)
        self._own_unk = None  # unk_id itself
        self.special = dict(special)
        for name in ROLES:
            delattr(self, name)
            if name in special:
                setattr(self, name, special[name])
        if "unk_id" not in special:
            self.unk_id = -1  # which no token is
        inner = tokenizer.encode("a", add_special_tokens=False).ids
        whole = tokenizer.encode("a", add_special_tokens=True).ids
        start = next(i for i in range(len(whole)) if whole[i : i + len(inner)] == inner)
        self.before, self.after = tuple(whole[:start]), tuple(whole[start + len(inner) :])

    def __getattr__(self, name: str) -> int:
        if name in ROLES:
            role = name.removesuffix("_id")
            raise ValueError(
                f"tokenizer=pretrained: the model has no {role} token, which this task needs; add "
                f"a row for it by tokenizer.add=[{role}], or choose another task"
            )
        raise AttributeError(name)

    def token_text(self, number: int) -> str:
        if number in self.special.values() or number in self._mark_ids:
            return str(self.tokenizer.id_to_token(number))
        return super().token_text(number)

    def with_marks(self, marks: Sequence[str]) -> "Vocabulary":
        """Return the same vocabulary with special tokens of the model as marks, by their names.

        Raises ValueError where it lacks one, and for an added one that is no mark.
        """
        idle = [t for t in self.added if t not in marks and t not in USUAL_TEXTS]
        if idle:
            raise ValueError(
                f"tokenizer.add=[{idle[0]}] has no effect: this task has no such mark; leave it out"
            )
        if not marks:
            return self
        special = set(self.special_ids.tolist())
        numbers = [self.tokenizer.token_to_id(mark) for mark in marks]
        known = [number for number in numbers if number in special]
        if len(known) < len(marks):
            missing = [mark for mark, n in zip(marks, numbers, strict=True) if n not in special]
            texts = ",".join(f'"{text}"' for text in missing)
            rows = f"add rows by 'tokenizer.add=[{texts}]'"
            fewer = f"use fewer by task.n_marks={len(known) or MOST_ADDED}"
            new = [mark for mark in missing if self.tokenizer.token_to_id(mark) is None]
            ways = [rows] if len(new) == len(missing) <= MOST_ADDED else []
            ways += [fewer] if known or len(missing) > MOST_ADDED else []
            raise ValueError(
                f"tokenizer=pretrained: this task needs {len(marks)} special tokens, of which the "
                f"model has {len(known)}; it lacks {missing[0]}; "
                + ", ".join([*ways, "or choose another task"])
            )
        found = copy.copy(self)
        found.marks, found._mark_ids = tuple(marks), np.array(known, dtype=np.int64)
        return found

    def with_rows(self, names: Sequence[str]) -> "PretrainedVocabulary":
        """Return the same vocabulary with further tokens: of roles, such as mask, or marks.

        They take rows of the table that no token has, then new ones. Raises ValueError for a token
        that the model has.
        """
        if not names:
            return self
        tokenizer = tokenizers.Tokenizer.from_str(self.tokenizer.to_str())
        special, added = dict(self.special), dict[str, int]()
        first = max(tokenizer.get_vocab().values()) + 1
        for name in names:
            is_role = f"{name}_id" in ROLES
            text = USUAL[name][0] if is_role else name
            if f"{name}_id" in special or tokenizer.token_to_id(text) is not None:
                raise ValueError(f"tokenizer.add=[{name}]: the model has this token; leave it out")
            tokenizer.add_special_tokens([text])
            number = tokenizer.token_to_id(text)
            assert number is not None
            if number < first:
                raise ValueError(
                    f"tokenizer.add=[{name}] has no place: the ids of the model's tokens leave "
                    "some out; add it to its tokenizer.json"
                )
            added[text] = number
            special |= {f"{name}_id": number} if is_role else {}
        size = max(self.size, *(number + 1 for number in added.values()))
        found = PretrainedVocabulary(tokenizer, size, special)
        found.added, found.n_new_rows = tuple(added), size - self.size
        return found

    @property
    def mark_ids(self) -> np.ndarray:
        return self._mark_ids

    @property
    def special_ids(self) -> np.ndarray:
        added = self.tokenizer.get_added_tokens_decoder().items()
        known = [i for i, token in added if token.special]
        text = set(self.tokenizer.get_vocab().values())
        unused = [i for i in range(self.size) if i not in text]
        return np.array(sorted({*known, *unused, *self.special.values()}), dtype=np.int64)

    def decode(self, ids: Any) -> str:
        ids = np.asarray(ids, dtype=np.int64).reshape(-1)
        if ids.size and (ids.min() < 0 or ids.max() >= self.size):
            raise ValueError(f"token ids must lie in [0, {self.size}) to be decoded")
        shown: dict[int | None, str] = dict(zip(self._mark_ids.tolist(), self.marks, strict=True))
        shown |= {self.special.get("mask_id"): "[MASK]", self.special.get("unk_id"): "\ufffd"}
        hidden = set(self.special_ids.tolist())
        parts: list[str] = []
        text: list[int] = []
        for i in ids.tolist():
            if i not in hidden:
                text.append(i)
            elif i in shown:
                parts += [self.decode_text(np.array(text, dtype=np.int64)), shown[i]]
                text = []
        return "".join([*parts, self.decode_text(np.array(text, dtype=np.int64))])

    def save(self, path: Path) -> None:
        content = {
            "class": f"{__name__}.{type(self).__name__}",
            "size": self.size,
            "special": self.special,
            "tokenizer": json.loads(self.tokenizer.to_str()),
        }
        write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "PretrainedVocabulary":
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content["tokenizer"]))
        special = {str(k): int(v) for k, v in content["special"].items()}
        return cls(tokenizer, int(content["size"]), special)


def special_ids(folder: Path, config: Mapping[str, Any], tokenizer: Any) -> dict[str, int]:
    """Our names of special ids to the ids, from what the folder says of them."""
    found: dict[str, int] = {}
    for role, texts in USUAL.items():
        ids = [tokenizer.token_to_id(text) for text in texts]
        known = [number for number in ids if number is not None]
        found |= {role: known[0]} if known else {}
    for file in (folder / name for name in NAMES):
        content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        for role in USUAL:
            token = content.get(f"{role}_token")
            text = token.get("content") if isinstance(token, dict) else token
            number = tokenizer.token_to_id(text) if isinstance(text, str) else None
            found |= {} if number is None else {role: number}
    for role in (*USUAL, "decoder_start"):
        number = config.get(f"{role}_token_id")
        number = number[0] if isinstance(number, list) else number  # the first of several ends
        found |= {role: number} if isinstance(number, int) and number >= 0 else {}
    if found.get("cls") is None and config.get("model_type") == "roberta" and "bos" in found:
        found["cls"] = found["bos"]  # one token with both roles
    ours = {name: [found[r] for r in roles if r in found] for name, roles in ROLES.items()}
    return {name: numbers[0] for name, numbers in ours.items() if numbers}


class Pretrained:
    """Tokenizer option `pretrained`: that of a trained model, used as it is; nothing is learned.

    path: a folder with config.json and tokenizer.json in the format of Hugging Face, or of a run.
    add: special tokens that it lacks and a task needs: pad, bos, eos, mask, cls, or marks by name.
    """

    def __init__(self, *, path: str, add: Sequence[str] = ()) -> None:
        self.path, self.add = path, tuple(add)
        if wrong := next((n for n in self.add if not isinstance(n, str) or not n), None):
            raise ValueError(f"tokenizer.add=[{wrong}] must name tokens, for example [mask]")

    def train(self, texts: Iterable[str]) -> Vocabulary:
        folder = Path(self.path)
        if not (folder / CONFIG).is_file():
            found = load_vocabulary(folder / TOKENIZER)  # of a run
            if isinstance(found, PretrainedVocabulary):
                return found.with_rows(self.add)
            if self.add:
                raise ValueError(
                    f"tokenizer.add=[{self.add[0]}] has no effect: the tokens of {folder} are "
                    "those of this program, which has all that a task needs; leave it out"
                )
            return found
        config = json.loads(read_text(str(folder / CONFIG), key="tokenizer.path"))
        size = config.get("vocab_size")
        if type(size) is not int:
            raise ValueError(f"tokenizer.path: {folder / CONFIG} says no vocab_size")
        text = read_text(str(folder / TOKENIZER), key="tokenizer.path")
        try:
            tokenizer = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception
            reason = str(error).splitlines()[0]
            raise ValueError(f"{folder / TOKENIZER} cannot be read: {reason}") from None
        found = PretrainedVocabulary(tokenizer, size, special_ids(folder, config, tokenizer))
        return found.with_rows(self.add)

    def identity(self) -> dict[str, Any]:
        content = check_file(str(Path(self.path) / TOKENIZER), "tokenizer.path").read_bytes()
        own = {"add": list(self.add)} if self.add else {}
        return {"sha256": hashlib.sha256(content).hexdigest(), **own}
