"""The same checks whatever is swept: what differs is refused, or said, and never gets a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.compare.report.comparison import Comparison, MatchResult
from lightning_transformer.compare.report.render.numbers import sentences, verdict
from lightning_transformer.compare.report.report import Report
from lightning_transformer.compare.report.write import Wanted, build_report
from tests.unit.compare.report.made_runs import make_run

SEEDS = (1, 2, 3)


def swept(
    folder: Path,
    key: str,
    values: tuple[str, str],
    *,
    other: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    wanted: Wanted | None = None,
    bits: bool = False,
) -> Report:
    """Two values of a key, the second better by far. other, config: of its runs alone."""
    for place, value in enumerate(values):
        for seed in SEEDS:
            loss = 2.0 - 0.5 * place + seed / 50 + place * seed**2 / 500
            metrics = {"val/loss": loss, "test/loss": loss}
            if bits:  # the other way round
                metrics["test/bits_per_byte"] = 2.0 + 0.5 * place + seed / 50
            changed = {"metrics": metrics, **((other or {}) if place else {})}
            make_run(
                folder / f"{place},{seed}", seed=seed, loss=loss,
                overrides=[f"{key}={value}", f"seed={seed}", "sweep=made"],
                config={"data": {"seq_len": 64}, **((config or {}) if place else {})}, **changed,
            )  # fmt: skip
    return build_report([folder], wanted)


ODD = {
    "data": {"data": {"name": "made", "sha256": "e" * 64}},
    "commit": {"commit": "f" * 40},
    "tokens": {"tokens_seen": 8000},
    "precision": {"precision": "bf16-mixed"},
    "start": {"init_from": {"path": "base", "family": "run", "sha256": "d" * 64}},
}


def test_compiled_and_not_is_refused_unless_sizes_decide_it(tmp_path: Path) -> None:
    odd = {"compiled": True}
    with pytest.raises(ValueError, match=r"^the runs differ in compilation: compiled \(3"):
        swept(tmp_path / "norm", "norm", ("a", "b"), other=odd)
    report = swept(tmp_path / "sizes", "model.n_layers", ("1", "2"), other=odd)
    assert any("differ in compilation" in line for line in report.warnings)


@pytest.mark.parametrize("key", ["model.n_layers", "trainer.clip", "task.mask_rate", "norm"])
@pytest.mark.parametrize("name", ODD)
def test_a_swept_key_turns_no_check_off(tmp_path, key, name):
    """Other data, other code, twice the tokens or bf16 in one variant."""
    with pytest.raises(ValueError, match=f"^the runs differ in {name}: "):
        swept(tmp_path, key, ("2", "4"), other=ODD[name])
    forced = build_report([tmp_path], Wanted(mixing="force"))
    assert any(f"differ in {name}" in text for text in forced.warnings)


@pytest.mark.parametrize(
    ("key", "name"),
    [("trainer.max_steps", "tokens"), ("trainer.precision", "precision"), ("trainer", "tokens")],
)
def test_what_the_swept_key_itself_changes_is_said_and_compared(tmp_path, key, name):
    report = swept(tmp_path, key, ("1", "2"), other=ODD[name])
    assert report.variants[1].verdict == "better"
    assert report.warnings[0].startswith(f"The runs differ in {name}: ")


def test_starts_differ_where_they_were_asked_about(tmp_path):
    report = swept(tmp_path, "init_from", ("null", "base"), other=ODD["start"])
    assert report.variants[1].verdict == "worse"  # the baseline is the one with a start


def test_two_states_of_one_start_are_refused(tmp_path):
    for place, sha256 in (("null", None), ("base", "d" * 64), ("also", "e" * 64)):
        for seed in SEEDS:
            start = {"path": "base", "family": "run", "sha256": sha256} if sha256 else {}
            make_run(
                tmp_path / f"{place}{seed}", seed=seed, loss=2.0, init_from=start,
                overrides=[f"init_from={place}", f"seed={seed}", "sweep=made"],
                config={"data": {"seq_len": 64}},
            )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"^the runs differ in start: d{14} of base \(\d runs\), e{14}"
    ):
        build_report([tmp_path])


def test_runs_matched_by_flops_may_differ_in_tokens(tmp_path):
    match = MatchResult("flops", "", {"norm=b": -0.16})
    tmp_path.mkdir(exist_ok=True)
    Comparison(name="x", by=["norm"], baseline={"norm": "a"}, match=match).write(tmp_path)
    report = swept(tmp_path, "norm", ("a", "b"), other=ODD["tokens"])
    assert report.variants[1].verdict == "better"


@pytest.mark.parametrize(
    ("device", "mixed", "verdict"),
    [
        ("H100", False, "not comparable"),
        ("H100", True, "better"),
        ("cpu, 4 threads", False, "better"),
    ],
)
def test_a_comparison_of_mixed_devices_has_a_verdict_only_where_that_was_asked_for(
    tmp_path, device, mixed, verdict
):
    named = {"name": "x", "by": ["norm"], "baseline": {"norm": "a"}}
    Comparison(**named, mixed_devices=mixed).write(tmp_path)
    report = swept(tmp_path, "norm", ("a", "b"), other={"device": device})
    assert report.variants[1].verdict == verdict
    if verdict == "not comparable":
        why = "runs of H100 and cpu; mixed_devices=true compares them"
        assert report.variants[1].incomparable == why


@pytest.mark.parametrize("wanted", [None, Wanted(mixing="force")])
def test_two_test_sets_never_get_a_verdict(tmp_path, wanted):
    report = swept(tmp_path, "data", ("pydocs", "text"), other=ODD["data"], wanted=wanted)
    assert report.variants[1].verdict == "not comparable"
    assert report.variants[1].effect is None  # nor a difference, nor a p
    assert sentences(report) == ["text: not comparable (other data, so another test set)."]
    assert any("differ in data" in text for text in report.warnings)


def test_another_length_of_the_test_rows_is_another_test_set(tmp_path):
    report = swept(
        tmp_path, "data.seq_len", ("64", "128"), other=ODD["tokens"],
        config={"data": {"seq_len": 128}},
    )  # fmt: skip
    assert report.variants[1].verdict == "not comparable"


def test_other_numbers_of_test_targets_are_another_test_set(tmp_path):
    """A prefix that is no target, or as many batches of another size."""
    for place, n in (("a", 1000), ("b", 900)):
        for seed in SEEDS:
            make_run(tmp_path / f"{place}{seed}", seed=seed, loss=2.0, norm=place, test_targets=n)
    (row,) = build_report([tmp_path]).variants[1:]
    assert row.verdict == "not comparable"
    assert verdict(row) == ("not comparable: other test targets: 900 where the baseline has 1000")


BPE = {"tokenizer": {"_target_": "x.Bpe", "vocab_size": 2048}}


def test_tokenizers_are_compared_by_bits_per_byte(tmp_path):
    report = swept(
        tmp_path, "tokenizer", ("bytes", "bpe"), config=BPE, bits=True,
        other={"tokens_seen": 4100, "test_targets": 300},
    )  # fmt: skip
    assert report.metric == "test/bits_per_byte"
    # Said in the head, with why.
    assert "compared by bits per byte" in report.warnings[0]


@pytest.mark.parametrize("targets", [(1000, 300), (None, None)])
def test_a_loss_per_token_does_not_compare_tokenizers(tmp_path, targets):
    for place, (name, n) in enumerate(zip(("bytes", "bpe"), targets, strict=True)):
        for seed in SEEDS:
            make_run(
                tmp_path / f"{name}{seed}", seed=seed, loss=2.0 + place, test_targets=n,
                overrides=[f"tokenizer={name}"], config=BPE if place else {},
            )  # fmt: skip
    report = build_report([tmp_path], Wanted(metric="test/loss", baseline="tokenizer=bytes"))
    assert report.variants[1].verdict == "not comparable"
    assert "another tokenizer" in report.variants[1].incomparable


def test_texts_are_classified_alike_whatever_the_tokenizer(tmp_path):
    """A loss per text is of the same texts."""
    report = swept(
        tmp_path, "tokenizer", ("bytes", "bpe"), config=BPE, other={"tokens_seen": 99},
    )  # fmt: skip
    assert report.variants[1].verdict == "not comparable"  # older runs do not record it
    for file in tmp_path.glob("*/result.json"):
        file.write_text(file.read_text().replace('"test_targets": null', '"test_targets": 50'))
    assert build_report([tmp_path], Wanted(baseline="tokenizer=bytes")).variants[1].verdict == (
        "better"
    )


def said(report: Report, part: str) -> str:
    (found,) = [text for text in report.warnings if part in text]
    return found


def test_another_order_of_the_samples_is_said_in_the_head(tmp_path):
    report = swept(tmp_path, "norm", ("a", "b"), other={"samples_sha256": "0" * 64})
    assert "Within seed 1, 2, 3, the runs saw other training samples" in said(report, "Within")


def test_copies_of_a_run_are_no_further_seeds(tmp_path):
    for norm, loss in (("a", 2.0), ("b", 1.9)):
        for seed in SEEDS:
            make_run(tmp_path / f"{norm}{seed}", seed=seed, loss=loss, norm=norm,
                     samples_sha256="5" * 64)  # fmt: skip
    report = build_report([tmp_path])
    assert "norm=a (seed 1, 2, 3), norm=b (seed 1, 2, 3)" in said(report, "Several seeds are one")
    assert report.variants[1].verdict == "no spread"


def test_one_order_under_several_seeds_is_said(tmp_path):
    report = swept(tmp_path, "norm", ("a", "b"), other={"samples_sha256": "1" * 64})
    assert "norm=b (seed 1, 2, 3)" in said(report, "Several seeds saw the same samples")


def test_skipped_steps_are_said(tmp_path):
    report = swept(tmp_path, "norm", ("a", "b"), other={"guard": {"skipped": 10, "rewound": 0}})
    assert "norm=b (30 skipped)" in said(report, "The guard left out steps")


@pytest.mark.parametrize(
    ("other", "name"),
    [({"versions": {"torch": "2.12.0"}}, "torch"), ({"device": "H100"}, "device")],
)
def test_another_torch_or_device_is_said(tmp_path, other, name):
    report = swept(tmp_path, "norm", ("a", "b"), other=other)
    assert "(3 runs)" in said(report, f"The runs differ in {name}: ")


def test_runs_that_are_alike_have_no_warning(tmp_path):
    assert swept(tmp_path, "norm", ("a", "b")).warnings == []
