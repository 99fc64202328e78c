"""Range checks of what a user sets on an optimizer or a schedule, one line per refusal."""

import math


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def check_positive(key: str, value: float, example: str) -> None:
    """Refuse anything but a finite number above zero."""
    if not (_is_number(value) and value > 0):
        raise ValueError(f"{key}={value!r} must be a positive number, for example {example}")


def check_non_negative(key: str, value: float, example: str) -> None:
    """Refuse anything but a finite number that is zero or more."""
    if not (_is_number(value) and value >= 0):
        raise ValueError(
            f"{key}={value!r} must be zero or a positive number, for example {example}"
        )


def check_decay_rate(key: str, value: float, example: str) -> None:
    """Refuse anything outside 0 <= value < 1: a running mean with rate 1 never moves."""
    if not (_is_number(value) and 0 <= value < 1):
        raise ValueError(f"{key}={value!r} must be at least 0 and below 1, for example {example}")


def check_fraction(key: str, value: float, example: str) -> None:
    """Refuse anything outside 0 <= value <= 1."""
    if not (_is_number(value) and 0 <= value <= 1):
        raise ValueError(f"{key}={value!r} must be between 0 and 1, for example {example}")


def check_count(key: str, value: int, at_least: int, example: str) -> None:
    """Refuse anything but a whole number that is not below ``at_least``."""
    if not (isinstance(value, int) and not isinstance(value, bool) and value >= at_least):
        rule = f"must be a whole number of at least {at_least}"
        raise ValueError(f"{key}={value!r} {rule}, for example {example}")
