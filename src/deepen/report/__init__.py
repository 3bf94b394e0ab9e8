"""The report: tables, charts, pictures, and the HTML page."""
