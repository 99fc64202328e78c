"""Every plot of a report as one Vega-Lite specification: for the page, SVG, PDF and PNG."""
