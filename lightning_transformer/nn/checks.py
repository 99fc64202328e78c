"""Range checks of options: one wording, ``key=value must be ..., for example ...``."""

import math


def _refuse(key: str, value: object, rule: str, example: object) -> None:
    raise ValueError(f"{key}={value!r} must be {rule}, for example {example}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def positive(key: str, value: float, example: float | str) -> None:
    """Raise ValueError unless value is a finite number above zero."""
    if not (_is_number(value) and value > 0):
        _refuse(key, value, "a positive number", example)


def number_from(key: str, value: float, minimum: float, example: float | str = "") -> None:
    """Raise ValueError unless value is finite and at least minimum (the default example)."""
    if not (_is_number(value) and value >= minimum):
        _refuse(key, value, f"a number of at least {minimum}", example or minimum)


def non_negative(key: str, value: float, example: float | str) -> None:
    """Raise ValueError unless value is a finite number, zero or above."""
    number_from(key, value, 0, example)


def fraction(key: str, value: float, example: float | str = 0.1) -> None:
    """Raise ValueError unless 0 <= value < 1, as for a dropout or the rate of a running mean."""
    if not (_is_number(value) and 0 <= value < 1):
        _refuse(key, value, "at least 0 and below 1", example)


def closed_fraction(key: str, value: float, example: float | str) -> None:
    """Raise ValueError unless 0 <= value <= 1."""
    if not (_is_number(value) and 0 <= value <= 1):
        _refuse(key, value, "at least 0 and at most 1", example)


def at_least(key: str, value: int, minimum: int, example: int | None = None) -> None:
    """Raise ValueError unless value is an integer and at least minimum (the default example)."""
    near = minimum if example is None else example
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse(key, value, f"an integer of at least {minimum}", near)
    if value < minimum:
        _refuse(key, value, f"at least {minimum}", near)


def between(key: str, value: int, minimum: int, maximum: int) -> None:
    """Raise ValueError unless value is an integer with minimum <= value <= maximum."""
    at_least(key, value, minimum)
    if value > maximum:
        _refuse(key, value, f"at most {maximum}", maximum)
