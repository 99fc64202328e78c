"""The table of a report over several comparisons, as text: for the terminal and a notebook."""

from lightning_transformer.compare.across.contents import LadderContents, TasksContents
from lightning_transformer.compare.across.render import words


def table(report: LadderContents | TasksContents) -> tuple[list[str], list[list[str]]]:
    """Heads of columns, and a row per variant with a cell per comparison and two for all."""
    if isinstance(report, LadderContents):
        heads = [f"{rung.name}\n{words.flops(rung.compute)}" for rung in report.rungs]
        rows = [
            [row.short, *map(words.cell, row.sizes), words.trend(row.trend, row.why),
             words.gain(row.gain)]
            for row in report.variants
        ]  # fmt: skip
        return ["variant", *heads, "trend", "compute needed"], rows
    heads = [f"{task.name}\n{task.metric}" for task in report.tasks]
    rows = [
        [one.short, *map(words.cell, one.tasks), words.pooled(one.pooled, one.why),
         words.probability(one.pooled)]
        for one in report.variants
    ]  # fmt: skip
    return ["variant", *heads, "all tasks", "P(better)"], rows


def sentences(report: LadderContents | TasksContents) -> list[str]:
    """The answers, for a reader without statistics."""
    if isinstance(report, LadderContents):
        return words.ladder_sentences(report)
    return words.task_sentences(report)
