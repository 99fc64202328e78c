"""Settle "is X better than Y in a transformer?" with one command."""

__version__ = "0.1.0"
