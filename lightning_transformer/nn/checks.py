"""Range checks of options, so that every component says the same thing in the same words."""

import math


def positive(name: str, value: float, example: float) -> None:
    """Raise ValueError unless value is a finite number above zero."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}={value} must be a positive number, for example {example}")


def not_negative(name: str, value: float, example: float) -> None:
    """Raise ValueError unless value is a finite number, zero or above."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name}={value} must be zero or above, for example {example}")


def fraction(name: str, value: float, example: float = 0.1) -> None:
    """Raise ValueError unless 0 <= value < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name}={value} must be at least 0 and below 1, for example {example}")


def number_from(name: str, value: float, minimum: float) -> None:
    """Raise ValueError unless value is a finite number and not below minimum."""
    if not (math.isfinite(value) and value >= minimum):
        raise ValueError(f"{name}={value} must be a number from {minimum} on")


def at_least(name: str, value: int, minimum: int) -> None:
    """Raise ValueError unless value >= minimum."""
    if value < minimum:
        raise ValueError(f"{name}={value} must be at least {minimum}")


def between(name: str, value: int, minimum: int, maximum: int) -> None:
    """Raise ValueError unless minimum <= value <= maximum."""
    at_least(name, value, minimum)
    if value > maximum:
        raise ValueError(f"{name}={value} must be at most {maximum}")


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
