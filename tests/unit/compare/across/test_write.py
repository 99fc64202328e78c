"""Reports over several comparisons of known truth, and their files."""

from __future__ import annotations

import json
import re

import pytest

from lightning_transformer.compare.__main__ import main
from lightning_transformer.compare.across.parts import read_several
from lightning_transformer.compare.across.render.page import markdown
from lightning_transformer.compare.across.render.words import ladder_sentences, task_sentences
from lightning_transformer.compare.across.write import build_across
from tests.unit.compare.across.made_parts import COMPUTE, made_ladder, made_tasks, power_law, scaled

BASE = power_law()


def across(folder):
    return build_across(folder, read_several(folder))


def by_name(report):
    return {row.short: row for row in report.variants}


@pytest.fixture(scope="module")
def ladder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several") / "lad"
    laws = {
        "a": BASE,
        "faster": lambda compute: BASE(compute / 0.8),
        "grower": scaled(BASE, (0, -1, -2)),
        "turns": scaled(BASE, (1.5, 0, -1.5)),
        "humped": scaled(BASE, (0, 4, 0)),
    }
    made_ladder(folder, laws)
    return folder


def test_trends_and_gains_of_a_known_truth(ladder):
    report = across(ladder)
    rows = by_name(report)
    assert report.variants[0].short == "a"
    verdicts = {name: row.trend.verdict for name, row in rows.items() if row.trend}
    assert verdicts == {
        "faster": "holds", "grower": "grows", "turns": "reverses", "humped": "unresolved"
    }  # fmt: skip
    assert rows["grower"].trend.slope == pytest.approx(-1.0, abs=0.15)
    assert rows["faster"].gain.low < 0.8 < rows["faster"].gain.high
    assert rows["humped"].gain.ratio is None
    assert [rung.compute for rung in report.rungs] == pytest.approx(list(COMPUTE))
    effects = [one.effect for one in rows["grower"].sizes]
    assert effects == pytest.approx([0, -1, -2], abs=0.2)


def test_sentences_say_at_which_compute_it_was_found(ladder):
    sentences = ladder_sentences(across(ladder))
    assert sentences[-1] == (
        "Found at 1.0e10 to 1.0e12 FLOPs a run, 1,000 to 100,000 parameters; this says nothing of "
        "larger models."
    )
    assert any(re.match(r"faster reaches the same loss with 0\.\d\d times the compute of a \[0\.",
                        text) for text in sentences)  # fmt: skip
    humped = [text for text in sentences if text.startswith("humped")]
    assert "not in a straight line over log compute" in humped[0]
    assert "the curve of the variant does not fit" in humped[1]


def test_the_command_writes_a_report_for_each_part_and_one_over_all(ladder, capsys):
    assert main([str(ladder), "--html"]) == 0
    assert "Found at 1.0e10 to 1.0e12 FLOPs a run" in " ".join(capsys.readouterr().out.split())
    content = json.loads((ladder / "report.json").read_text(encoding="utf-8"))
    assert (content["kind"], len(content["rungs"])) == ("ladder", 3)
    for part in ("rung1", "rung2", "rung3"):
        assert (ladder / part / "report.html").is_file()
    page = (ladder / "report.html").read_text(encoding="utf-8")
    assert 'href="rung3/report.html"' in page
    places = re.findall(r'data-path="([^"]+)"', page)
    assert len(places) > 60
    for place in places:  # every number of the page stands in report.json
        value = content
        for key in place.strip("/").split("/"):
            value = value[int(key)] if isinstance(value, list) else value[key]
        assert value is not None, place


def test_what_makes_a_ladder_doubtful_is_said(tmp_path):
    several = made_ladder(tmp_path / "lad", {"a": BASE, "b": BASE}, rates="fixed", epochs=2.5)
    (tmp_path / "lad" / "rung3").rename(tmp_path / "elsewhere")
    report = build_across(tmp_path / "lad", several)
    assert report.warnings[0].startswith("All sizes were trained with one learning rate")
    assert report.warnings[1].startswith("No report yet of rung3")
    assert "rung1 2.5 times" in report.warnings[2]
    row = by_name(report)["b"]
    assert (row.trend, row.why) == (None, "an effect at 2 sizes; a trend needs 3")
    assert row.gain.why == "an effect at 2 sizes; a curve needs 3"


def test_sizes_that_ran_out_of_order_have_no_trend(tmp_path):
    """Runs of the largest size were stopped early: fewer tokens than those of the second."""
    several = made_ladder(tmp_path / "lad", {"a": BASE, "b": BASE})
    for file in (tmp_path / "lad" / "rung3").glob("*/result.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps({**content, "tokens_seen": 100}), encoding="utf-8")
    row = by_name(build_across(tmp_path / "lad", several))["b"]
    assert row.trend is None
    assert row.why == row.gain.why == "the compute of the runs does not grow from size to size"


def test_a_folder_without_any_report_is_one_line(tmp_path):
    several = made_ladder(tmp_path / "lad", {"a": BASE, "b": BASE})
    with pytest.raises(ValueError, match=r"rung1: .* does not exist"):
        build_across(tmp_path / "empty", several)


def test_tasks_of_a_known_truth(tmp_path):
    means = {
        "pydocs": {"a": 2.0, "b": 1.9, "c": 2.0},
        "order": {"a": 0.5, "b": 0.45, "c": 0.5},
        "restore": {"a": 3.0, "b": 2.9, "c": 3.3},
    }
    made_tasks(tmp_path / "tasks", means, noise=0.002)
    report = across(tmp_path / "tasks")
    rows = by_name(report)
    effects = [one.effect for one in rows["b"].tasks]
    assert effects == pytest.approx([5.0, 10.0, 3.3], abs=0.5)  # lower losses are improvements
    assert rows["b"].pooled.verdict == "better"
    assert rows["b"].pooled.probability == 1.0
    assert rows["b"].pooled.n == 15
    assert rows["c"].tasks[2].effect == pytest.approx(-10.0, abs=0.5)
    assert rows["c"].pooled.probability < 0.6
    assert rows["a"].profile.share[0] >= rows["a"].profile.share[-1] == 0.0
    sentences = task_sentences(report)
    assert sentences[0].startswith("b: better than a over all tasks: +5.")
    assert sentences[-1] == "Over these 3 tasks (pydocs, order, restore); others may differ."


def test_a_small_and_sure_difference_over_tasks_is_called_one(tmp_path):
    means = {"x": {"a": 2.0, "b": 1.988}, "y": {"a": 1.0, "b": 0.994}}  # 0.6 %
    made_tasks(tmp_path / "t", means, noise=0.002)
    report = across(tmp_path / "t")
    found = by_name(report)["b"].pooled
    assert (found.verdict, found.is_sure) == ("unresolved", True)
    sentence = task_sentences(report)[0]
    assert sentence.startswith(
        "b: differs from a over all tasks, perhaps by less than the margin: +0."
    )


def test_a_variant_without_a_run_on_one_task_has_no_pooled_answer(tmp_path):
    made_tasks(tmp_path / "t", {"x": {"a": 2.0, "b": 1.9}, "y": {"a": 2.0, "c": 1.9}})
    rows = by_name(across(tmp_path / "t"))
    assert rows["b"].why == "no effect on y"
    assert rows["b"].pooled is None
    text = markdown(across(tmp_path / "t"))
    assert "| no run |" in text
    assert "not known: no effect on y" in text


@pytest.mark.slow
def test_all_files_are_written_with_pictures(ladder, tmp_path):
    assert main([str(ladder)]) == 0
    for name in ("effect_compute", "loss_compute"):
        for end in ("svg", "png", "pdf"):
            assert (ladder / "report" / f"{name}.{end}").stat().st_size > 1000
    text = (ladder / "report.md").read_text(encoding="utf-8")
    assert "| grower |" in text
    assert "![effect_compute](report/effect_compute.png)" in text
