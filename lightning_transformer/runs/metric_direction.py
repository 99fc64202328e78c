"""Whether a lower or a higher value of a metric is better, known by its name."""

LOWER = ("loss", "perplexity", "bits_per_byte", "ece", "nll", "error", "seconds")
HIGHER = ("accuracy", "f1", "bleu", "chrf", "exact_match", "precision", "recall")
MODES = ("min", "max")


def lower_is_better(metric: str) -> bool | None:
    """By the last part of its name, such as `loss` of val/loss; None where that does not tell."""
    name = metric.rsplit("/", 1)[-1]
    higher, lower = (any(part in name for part in parts) for parts in (HIGHER, LOWER))
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
