"""Numbers to readers: the HTML page, exports, console tables, contact sheets and dashboards.

Every module renders: it returns text or bytes, or prints, and writes no file. Figures that
metrics.json holds are shown as they are and not recomputed.
"""
