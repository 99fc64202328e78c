"""What may be the name of a folder: one rule for sweeps, comparisons and their jobs."""

import unicodedata

from lightning_transformer.errors import ConfigError

MAX_BYTES = 128  # in UTF-8; file systems take 255, and jobs and temporary files add to it
_SIGNS = "._=,+-"


def is_plain(character: str) -> bool:
    """Whether a character may stand in a folder name: a letter, digit or accent, or . _ = , + -

    Of any script, by the Unicode categories L, N and M; so no separator, space, quotation mark,
    symbol or control character.
    """
    return character in _SIGNS or unicodedata.category(character)[0] in "LNM"


def check_folder_name(key: str, name: str) -> None:
    """Raise ConfigError, in one line, unless the value of key may be the name of a folder.

    It begins with a letter or digit and is in Unicode's composed form (NFC), so that what looks
    the same is the same folder.
    """
    shown = name if name.isprintable() else repr(name)
    if not name or not all(map(is_plain, name)) or unicodedata.category(name[0])[0] not in "LN":
        raise ConfigError(
            f"{key}={shown} must be a plain folder name of letters, digits and . _ - + = , such as "
            "norms"
        )
    composed = unicodedata.normalize("NFC", name)
    if name != composed:
        raise ConfigError(
            f"{key}={name} has accents apart from their letters (Unicode NFD); write them as one "
            f'character: {key}="{composed}"'
        )
    if len(name.encode("utf-8")) > MAX_BYTES:
        raise ConfigError(
            f"{key}={name} must be a plain folder name of at most {MAX_BYTES} bytes, such as norms"
        )
