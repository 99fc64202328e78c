"""Secrets are not written down: what a run records of its configuration hides their values.

Standard library only.
"""

import re
from collections.abc import Sequence
from typing import Any

HIDDEN = "[redacted]"
# Last parts of a key that mark its value as a secret. `token` alone or behind another is one
# (`hub_token`), but not where it is a token of text (`pad_token`, `n_tokens`, `tokenizer`).
SECRET = re.compile(
    r"(?:^|_)(?:(?<!pad_)(?<!bos_)(?<!eos_)(?<!unk_)(?<!mask_)(?<!cls_)(?<!sep_)(?<!special_)token"
    r"|secrets?|password|passwd|passphrase|credentials?|authorization|apikey"
    r"|(?:api|access|private|secret|auth|ssh|encryption)_key)$"
)
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
ACCOUNT = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]+(?=@)")  # user:password@ of an address
ASSIGNED = re.compile(r"(?P<key>[\w.-]+)\s*[:=]\s*")
VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|[^,}\]\n]+")


def is_secret(key: str) -> bool:
    """Whether a key, such as `logger.api_key`, names a secret by its last part."""
    last = CAMEL.sub("_", key.rpartition(".")[2]).replace("-", "_").lower()
    return SECRET.search(last) is not None


def redacted(config: Any, secret: bool = False) -> Any:
    """A copy of plain dicts and lists in which texts under secret keys read `[redacted]`.

    Numbers, null and `_target_` stay; passwords inside addresses are hidden under any key.
    """
    if isinstance(config, dict):
        return {
            key: value if key == "_target_" else redacted(value, secret or is_secret(str(key)))
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [redacted(item, secret) for item in config]
    if not isinstance(config, str):
        return config
    return HIDDEN if secret else ACCOUNT.sub(HIDDEN, config)


def redacted_overrides(overrides: Sequence[str]) -> list[str]:
    """What was typed, with the values of secrets hidden."""
    return [_override(text) for text in overrides]


def _override(text: str) -> str:
    key, equals, value = text.partition("=")
    if equals and is_secret(key.lstrip("+~")):
        return f"{key}={value if _harmless(value) else HIDDEN}"
    return redacted_text(text)


def redacted_text(text: str) -> str:
    """A text with the values hidden that follow a secret key and : or =, as in `{api_key: x}`."""
    for found in reversed(list(ASSIGNED.finditer(text))):
        value = VALUE.match(text, found.end())
        if value and is_secret(found["key"]) and not _harmless(value[0]):
            text = f"{text[: value.start()]}'{HIDDEN}'{text[value.end() :]}"
    return ACCOUNT.sub(HIDDEN, text)


def _harmless(text: str) -> bool:
    """null or a number."""
    return re.fullmatch(r"\s*(?:null|[-+]?[\d.]+(?:e[-+]?\d+)?)?\s*", text) is not None
