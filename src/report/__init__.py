"""The results of runs for their reader: the terminal's table, one page, and tables as files.

Everything here reads what the runs left in their folders (metrics.json, config.yaml,
scores.parquet, spectra/) and computes no figure anew that stands there.
"""

from genspot.report.console import remarks, rows, show, terminal
from genspot.report.page import write
from genspot.report.contact_sheets import write_sheets

__all__ = ["remarks", "rows", "show", "terminal", "write", "write_sheets"]
