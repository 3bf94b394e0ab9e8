"""The report: tables, charts, figures and the HTML page."""
