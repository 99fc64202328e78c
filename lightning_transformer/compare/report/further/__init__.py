"""Measurements beside the compared metric: they are shown with their effects and decide nothing."""
