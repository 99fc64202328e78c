"""Several comparisons with more seeds, further values or further tasks go on in their folder."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lightning_transformer.compare.across.parts import SEVERAL_FILE, Several, read_several
from lightning_transformer.compare.run.adding import extend
from lightning_transformer.compare.several.asked import SeveralRequest

COMPARISON, TASKS = "comparison", "tasks"  # keys of `SeveralRequest.identity`


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """`ladder=3 then, 4 now`: a text for each value that makes it another question.

    old, new: `SeveralRequest.identity` of what is in the folder and of the command.
    """
    found = []
    for key in sorted({*old, *new} - {COMPARISON}):
        then, now = old.get(key), new.get(key)
        may_grow = key == TASKS and then and now and set(then.split(",")) <= set(now.split(","))
        if then != now and not may_grow:
            found.append(f"{key}={then or 'nothing'} then, {now or 'nothing'} now")
    return found + extend.differences(_comparison(old), _comparison(new))


def grown(old: Several, new: Several, asked: SeveralRequest) -> Several:
    """The comparisons of the folder, then those that were added; each keeps its size."""
    known = {part.name for part in old.parts}
    more_seeds = _comparison(old.asked)["seeds"] != _comparison(asked.identity)["seeds"]
    return replace(
        old,
        parts=[*old.parts, *(part for part in new.parts if part.name not in known)],
        asked=asked.identity,
        reports=old.reports + more_seeds,
    )


def continued(asked: SeveralRequest, root: Path) -> SeveralRequest:
    """The request with the name of the folder that it continues, if it was given no name.

    That is the one with the most of what it asks for.
    """
    found = []
    stem = asked.name.rpartition("-")[0]
    for path in root.glob(f"{stem}-??????/{SEVERAL_FILE}"):
        try:
            old = read_several(path.parent)
            if old is not None and not differences(old.asked, asked.identity):
                runs = sum(map(len, _comparison(old.asked)["compared"].values()))
                n_seeds = len(_comparison(old.asked)["seeds"])
                found.append((len(old.parts), runs, n_seeds, path.parent.name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of an older version
    if not found:
        return asked
    return replace(asked, request=replace(asked.request, name=max(found)[-1]))


def _comparison(identity: Mapping[str, str]) -> dict:
    return json.loads(identity[COMPARISON])
