"""A report over several comparisons as a page, Markdown, plots and a table in the terminal."""
