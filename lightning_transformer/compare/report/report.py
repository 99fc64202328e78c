"""The report of a comparison in Python: its contents, as a table of pandas or in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightning_transformer.compare.report.contents import Contents
from lightning_transformer.compare.report.render.html import notebook
from lightning_transformer.compare.report.render.plots.files import all_plots, to_svg

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Report(Contents):
    """All that report.json holds, with types. Made by `write.build_report`."""

    def to_pandas(self) -> pd.DataFrame:
        """One row per variant, indexed by its name. Raises ImportError where pandas is missing."""
        rows = []
        for row in self.variants:
            effect = row.effect
            rows.append({
                "variant": row.variant,
                "n": sum(value is not None for value in row.values.values()),
                "mean": row.mean, "sd": row.sd,
                "delta": effect and effect.delta, "low": effect and effect.low,
                "high": effect and effect.high, "p": effect and effect.p,
                "p_holm": effect and effect.p_holm,
                "probability_better": effect and effect.probability_better,
                "verdict": row.verdict, "lr": row.lr, "params": row.params,
                "flops_per_token": row.flops_per_token,
                "tokens_per_second": row.tokens_per_second, "seconds": row.seconds,
                "memory_mib": row.memory_mib, "diverged": row.states["diverged"],
            })  # fmt: skip
        return to_frame(rows, ["variant"])

    def _repr_html_(self) -> str:
        """The answer, the table, the differences and the loss curves, in a notebook."""
        plots = all_plots(self)
        shown = [plots[name] for name in ("forest", "loss_tokens") if name in plots]
        return notebook(self, [to_svg(plot) for plot in shown])


def to_frame(rows: list[dict[str, Any]], index: list[str]) -> pd.DataFrame:
    """The rows with the columns `index` as their index. ImportError where pandas is missing."""
    try:
        import pandas as pd
    except ImportError:
        raise ImportError("to_pandas needs pandas; install it with: pip install pandas") from None
    return pd.DataFrame(rows).set_index(index)
