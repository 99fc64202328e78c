"""Stages that change or remove documents before they are encoded, and count what they did."""
