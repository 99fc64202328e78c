"""Cards tell what options are, from their files, and what they cost, from the models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_transformer.cards.__main__ import PAGES, PRICED, main, write
from lightning_transformer.cards.files import default_option, read_option
from lightning_transformer.cards.page import card
from lightning_transformer.cards.sizes import Cost, cost, difference, params
from tests.conftest import options
from tests.helpers.refusals import parsed, refused

ROOT = Path(__file__).parents[3]

BEYOND = (960, 16)  # a width and a depth that no formula was made from
UNPLANNED = {"ffn=moe_sigmoid"}  # its width is rounded: 1.3333 of d_model


def test_a_formula_by_hand() -> None:
    """Of 3 d^2 + (2 n + 1) d - 4 n + 7."""
    assert difference(lambda d, n: 3 * d * d + (2 * n + 1) * d - 4 * n + 7) == (
        "3 d_model^2 + (2 n_layers + 1) d_model - 4 n_layers + 7"
    )
    assert difference(lambda d, n: 0) == "0"
    assert difference(lambda d, n: n * d) == "n_layers d_model"


@pytest.mark.parametrize("count", [lambda d, n: d**3, lambda d, n: n * n, lambda d, n: d % 7])
def test_what_is_no_such_polynomial_has_no_formula(count: Callable[[int, int], int]) -> None:
    assert difference(count) == ""


def test_layernorm_costs_a_bias_more_than_rmsnorm() -> None:
    """Two norms in each layer and the last one; each bias has d_model numbers."""
    found = cost("norm", "layernorm", "rmsnorm")
    assert found == Cost((), 9 * 128, "(2 n_layers + 1) d_model", 1.0)


def evaluated(formula: str, d_model: int, n_layers: int) -> int:
    text = formula.replace("^2", "**2").replace(") ", ")*").replace(" n_layers", "*n_layers")
    text = text.replace(" d_model", "*d_model").replace("(*", "(").replace("+*", "+")
    return round(eval(text.lstrip("*"), {"d_model": d_model, "n_layers": n_layers}))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("group", "name"),
    [(g, n) for g in PRICED for n in options(g) if n != default_option(g)],
)
def test_the_formula_on_the_card_holds_for_another_model(group: str, name: str) -> None:
    default = default_option(group)
    assert default is not None
    found = cost(group, name, default)
    assert found is not None, "works in no surroundings"
    if not found.formula:
        assert f"{group}={name}" in UNPLANNED
        return
    mine, usual = ((f"{group}={n}", *found.surroundings) for n in (name, default))
    counted = params(mine, *BEYOND) - params(usual, *BEYOND)
    assert evaluated(found.formula, *BEYOND) == counted


@pytest.mark.parametrize("group", ["norm", "optimizer", "data", "attention"])
def test_a_card_tells_what_its_file_tells(group: str) -> None:
    for name in options(group):
        option = read_option(group, name)
        text = card(option, None, None)
        assert option.title in text
        assert option.title
        for key in option.keys:
            cells = (f"{group}.{key.name}", key.default, key.text)
            assert "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) in text


def test_a_key_is_read_with_default_and_meaning() -> None:
    (eps, bias) = read_option("norm", "layernorm").keys
    assert (eps.name, eps.default, eps.text) == ("eps", "1e-5", "added to the variance, > 0")
    assert (bias.name, bias.default) == ("bias", "true")
    assert "Ba et al. 2016" in read_option("norm", "layernorm").doc


@pytest.mark.parametrize("group", ["norm", "position", "attention", "optimizer"])
def test_the_default_is_that_of_the_default_run(group: str) -> None:
    wanted = {"norm": "rmsnorm", "position": "rope", "attention": "mha", "optimizer": "muon"}
    assert default_option(group) == wanted[group]
    assert default_option("preset") is None


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["nrm"], "unknown group nrm; did you mean norm?"),
        (["norm", "rmsnrm"], "unknown option norm=rmsnrm; did you mean rmsnorm?"),
    ],
)
def test_wrong_names_get_one_line(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"error: {said}")
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_without_a_group_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert f"norm: {', '.join(options('norm'))}\n" in capsys.readouterr().out


def test_cards_tell_all_refusals() -> None:
    """Those of the conformance suite, each on the cards of both options."""
    for found in refused().values():
        for key, said in found.items():
            for group, name in parsed(key).items():
                assert said in card(read_option(group, name), None, None)


@pytest.mark.slow
@pytest.mark.parametrize("group", PAGES)
def test_the_page_in_docs_is_what_would_be_written(group: str, tmp_path: Path) -> None:
    write(tmp_path, [group])
    written = (tmp_path / f"{group}.md").read_text()
    assert written == (ROOT / f"docs/cards/{group}.md").read_text(), "run `make docs`"


def test_the_index_in_docs_names_every_option() -> None:
    text = (ROOT / "docs/cards/README.md").read_text()
    for group in PAGES:
        assert f"## [{group}]({group}.md)" in text
        for name in options(group):
            line = f"- `{name}`: {read_option(group, name).title}"
            assert line in text, "run `make docs`"
