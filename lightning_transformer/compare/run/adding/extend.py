"""The same comparison with more seeds, further variants or a placebo continues in its folder."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_transformer.compare.report.comparison import Looks
from lightning_transformer.compare.run.request import Request, own_name

MAY_GROW = ("compared", "seeds", "first", "placebo")  # keys of `Request.identity`


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """`lr: fixed then, sweep3 now`, a text for each value that makes it another comparison.

    old, new: `Request.identity` of what is in the folder and of the command.
    """
    found = _changed(
        {key: value for key, value in old.items() if key not in MAY_GROW},
        {key: value for key, value in new.items() if key not in MAY_GROW},
    )
    for key in {**old["compared"], **new["compared"]}:
        then, now = old["compared"].get(key, []), new["compared"].get(key, [])
        if not then or set(then) - set(now):
            found += _changed({key: then}, {key: now})
    if old["seeds"] != new["seeds"][: len(old["seeds"])]:
        found += _changed({"seeds": old["seeds"]}, {"seeds": new["seeds"]})
    if new["halving"] and not found:  # it has chosen among these
        grown = {key for key in MAY_GROW if old.get(key, new[key]) != new[key]}
        found += [f"{key} grew, where halving= has chosen among few" for key in sorted(grown)]
    if old["placebo"] and not new["placebo"]:
        found += _changed({"placebo": True}, {"placebo": False})
    return found


def looks(old: Mapping[str, Any] | None, before: Looks | None, request: Request) -> Looks | None:
    """At which numbers of seeds the comparison is judged; None where that is once.

    old: what was asked before, None for a new comparison. before: its looks.
    """
    if before:
        return before
    if old is None:
        return Looks(request.first, len(request.seeds)) if request.is_adaptive else None
    n = old.get("first", len(old["seeds"]))
    return Looks(max(3, n), max(3, n)) if len(request.seeds) > n else None


def continued(request: Request, root: Path) -> Request:
    """The request with the name of the comparison that it continues, if it was given none.

    That is the one with the most seeds and variants, of those that it contains.
    """
    found = []
    for path in root.glob(f"{own_name(request)}/plan.json"):
        try:
            asked = json.loads(path.read_text(encoding="utf-8"))["asked"]
            if not differences(asked, request.identity):
                n_values = sum(len(values) for values in asked["compared"].values())
                found.append((n_values, len(asked["seeds"]), path.parent.name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of no comparison, or of an older version
    return replace(request, name=max(found)[-1]) if found else request


def _changed(old: Any, new: Any, key: str = "") -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = [*old, *(name for name in new if name not in old)]
        return [text for name in names for text in _changed(old.get(name), new.get(name), name)]
    return [] if old == new else [f"{key}: {_show(old)} then, {_show(new)} now"]


def _show(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "nothing"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
