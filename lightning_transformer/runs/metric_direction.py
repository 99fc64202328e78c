"""Whether a lower or a higher value of a metric is better, known by its name."""

LOWER = (
    "loss",
    "perplexity",
    "bits_per_byte",
    "ece",
    "nll",
    "error",
    "mse",
    "mae",
    "brier",
    "seconds",
)
EXACT_LOWER = ("ter",)  # part of many other words
EXACT_HIGHER = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")  # of lm-eval
HIGHER = (
    "accuracy",
    "f1",
    "bleu",
    "chrf",
    "rouge",
    "mcc",
    "auroc",
    "exact_match",
    "precision",
    "recall",
    "pearson",
    "spearman",
    "margin",
    "probability",
    "reward",
    "p_answer",
)
MODES = ("min", "max")


def lower_is_better(metric: str) -> bool | None:
    """By the last part of its name, such as `loss` of val/loss; None where that does not tell."""
    name = metric.rsplit("/", 1)[-1]
    higher, lower = (any(part in name for part in parts) for parts in (HIGHER, LOWER))
    lower = lower or name in EXACT_LOWER
    higher = higher or name in EXACT_HIGHER
    return None if higher == lower else lower  # a name such as recall_loss has both


def mode_of(metric: str, mode: str | None, key: str) -> str:
    """min or max: as given under `key`, or by the metric's name.

    Raises ValueError for another mode, and for a name that does not tell.
    """
    if mode is not None:
        if mode not in MODES:
            raise ValueError(f"{key}={mode} must be min, max or null, for example min")
        return mode
    lower = lower_is_better(metric)
    if lower is None:
        raise ValueError(
            f"{key}=null does not tell which values of {metric} are better: min or max"
        )
    return "min" if lower else "max"
