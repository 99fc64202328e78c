"""The contract of stages of cleaning, and what identifies them."""

import dataclasses
import functools
import hashlib
import inspect
import json
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

Texts = tuple[str, ...]
"""The texts of one document: one, or source and target."""


class Dropped(NamedTuple):
    """What a stage gives for a document that it removes: the rule that asked for it."""

    rule: str


@dataclasses.dataclass
class Stage(ABC):
    """A stage sees the documents one by one: those of test, then of val, then of train.

    A subclass is a dataclass of its options; what it remembers between documents is set in `begin`.
    order: stages work by this number, whatever the order in which they are chosen.
    changes_text: whether it gives other texts than it gets.
    only_looks: whether it gives all texts as it gets them; in a mixture such a stage looks at the
    documents of all parts together.
    """

    order: ClassVar[int]
    changes_text: ClassVar[bool] = False
    only_looks: ClassVar[bool] = False

    def begin(self) -> None:  # noqa: B027
        """Forget all documents that were seen."""

    @abstractmethod
    def clean(self, split: str, texts: Texts) -> Texts | Dropped:
        """Return the texts of a document, as they are or changed, or why it is removed."""

    def found(self) -> dict[str, Any]:
        """What else is reported once all documents were seen, as JSON holds it."""
        return {}

    def describe(self, found: dict[str, Any]) -> list[str]:
        """Lines that say what `found` returned."""
        return []


@dataclasses.dataclass
class TextFilter(Stage):
    """A stage that removes a document if one of its texts breaks a rule."""

    @abstractmethod
    def broken_rule(self, text: str) -> str | None:
        """The first rule that a text breaks, in a few words; None if it breaks none."""

    def clean(self, split: str, texts: Texts) -> Texts | Dropped:
        for text in texts:
            if (rule := self.broken_rule(text)) is not None:
                return Dropped(rule)
        return texts


def as_list(key: str, value: Any, kind: Any, example: list[Any]) -> list[Any]:
    """The value of an option as a list. Raises ValueError for what is no list of this kind."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, kind) for item in value):
        shown = f"[{','.join(map(str, example))}]"
        raise ValueError(f"{key}={value!r} must be a list, for example '{key}={shown}'")
    return list(value)


Stages = Sequence[tuple[str, Stage]]
"""The names of stages in the configuration, and the stages, in the order of their work."""


def in_order(chosen: Mapping[str, Any] | None, fixed: str = "") -> Stages:
    """The chosen stages by their order, and by name where that is equal.

    fixed: why texts must stay as they are; "" where they need not.
    Raises ValueError for what is no stage, and for one that changes texts that must stay.
    """
    if chosen is not None and not isinstance(chosen, Mapping):
        raise ValueError(f"data.cleaning={chosen} is no choice of stages; write cleaning={chosen}")
    for name, stage in (chosen or {}).items():
        if not isinstance(stage, Stage) or not dataclasses.is_dataclass(stage):
            raise ValueError(
                f"cleaning.{name} is {stage!r} and no dataclass of "
                f"{Stage.__module__}.Stage, such as cleaning=length"
            )
        if stage.changes_text and fixed:
            raise ValueError(f"cleaning.{name} changes texts, but {fixed}; leave {name} out")
    found = (chosen or {}).items()
    return sorted(found, key=lambda one: (one[1].order, one[0]))


def identity(stages: Stages) -> list[Any]:
    """All that the work of stages depends on, as JSON holds it; [] without any."""
    found: list[Any] = []
    for name, stage in stages:
        options = {f.name: getattr(stage, f.name) for f in dataclasses.fields(stage)}
        code = [type(stage), *(_function(value) for value in options.values() if callable(value))]
        found.append([name, json.loads(json.dumps(options, default=_named)), *map(_code, code)])
    return [unicodedata.unidata_version, *found] if found else []


def _function(value: Any) -> Callable[..., Any]:
    return _function(value.func) if isinstance(value, functools.partial) else value


def _named(value: Any) -> Any:
    if isinstance(value, functools.partial):
        return [_named(value.func), list(value.args), value.keywords]
    return f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', repr(value))}"


def _code(thing: Any) -> str:
    """Name of a class or function, with the digest of its file."""
    try:
        file = inspect.getsourcefile(thing)
    except TypeError:  # an instance, or built into Python
        file = inspect.getsourcefile(type(thing)) if not inspect.isbuiltin(thing) else None
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    return f"{_named(thing)} {digest}"
