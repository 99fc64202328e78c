"""Questions made by chance whose best possible answers are known, as pairs of texts."""
