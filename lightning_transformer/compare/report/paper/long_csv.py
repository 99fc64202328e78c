"""All metrics of all runs, one value per line."""

import csv
import io

from lightning_transformer.compare.report.contents import Contents

COLUMNS = ("variant", "seed", "state", "metric", "value")


def long_csv(report: Contents) -> str:
    """variant, seed, state, metric, value; a value that is not finite is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in report.runs:
        for name, value in run.items():
            if "/" in name:  # as in test/loss; what else a run has is no metric
                writer.writerow([run["variant"], run["seed"], run["state"], name, value])
    return stream.getvalue()
