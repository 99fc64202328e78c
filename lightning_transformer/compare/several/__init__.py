"""Runs several comparisons one after another, a ladder of sizes or several tasks, as one."""
