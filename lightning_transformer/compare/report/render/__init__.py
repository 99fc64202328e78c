"""A report as a page, Markdown, plots and a table in the terminal."""
