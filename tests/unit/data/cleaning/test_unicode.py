"""Normal forms against characters by hand."""

from __future__ import annotations

import pytest

from lightning_transformer.data.cleaning.unicode import Unicode


@pytest.mark.parametrize(
    ("form", "right"),
    [
        ("NFC", "\u00e9 \ufb01"),
        ("NFD", "e\u0301 \ufb01"),
        ("NFKC", "\u00e9 fi"),
        ("NFKD", "e\u0301 fi"),
    ],
)
def test_forms_compose_or_decompose_and_replace_look_alikes(form: str, right: str) -> None:
    texts = ("e\u0301 \ufb01", "\u00e9 \ufb01")
    assert Unicode(form).clean("train", texts) == (right, right)


def test_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cleaning\.unicode\.form=NFX must be .* NFC"):
        Unicode("NFX")
