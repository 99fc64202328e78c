"""The one rule for names of folders."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.folder_name import check_folder_name, is_plain


def test_no_character_that_a_shell_or_a_file_system_gives_a_meaning_is_plain():
    ascii_signs = {chr(i) for i in range(128) if is_plain(chr(i)) and not chr(i).isalnum()}
    assert ascii_signs == set("._=,+-")
    for code in range(128, sys.maxunicode + 1):
        character = chr(code)
        if is_plain(character):
            # Neither control characters nor separators, and no quotation mark, slash or arrow.
            assert character.isprintable()
            assert not character.isspace()
            assert unicodedata.category(character)[0] not in "PS"
    assert all(map(is_plain, "größeδДあ中ก็९"))


@pytest.mark.parametrize("name", ["größe", "a", "9", "x.y_z=1,b+2-c", "ü" * 64, "लंबाई"])
def test_names_that_pass(name):
    check_folder_name("sweep", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".a",
        "..",
        "-a",
        "a/b",
        "a\\b",
        "a b",
        "a\u00a0b",
        "a\tb",
        "a\u202eb",
        "\u0301a",
        "a\ud800",
    ],
)
def test_names_that_are_refused_in_one_line(name):
    with pytest.raises(ConfigError, match=r"^sweep=.* must be a plain folder name of") as caught:
        check_folder_name("sweep", name)
    assert str(caught.value).isprintable()


def test_the_length_is_that_in_bytes():
    check_folder_name("name", "x" * 128)
    for name in ("x" * 129, "ü" * 65, "中" * 43):
        with pytest.raises(ConfigError, match="at most 128 bytes"):
            check_folder_name("name", name)


def test_accents_apart_from_their_letters_are_answered_with_the_spelling_that_passes():
    apart = unicodedata.normalize("NFD", "größe")
    with pytest.raises(ConfigError, match=r'^sweep=.*write them as one character: sweep="größe"$'):
        check_folder_name("sweep", apart)
