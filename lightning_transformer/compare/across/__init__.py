"""One answer from several comparisons: over a ladder of sizes, or over several tasks."""
