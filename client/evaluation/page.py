"""A report as one self-contained page."""

from client.evaluation.report import Report
from client.evaluation.run import Run


def make_page(report: Report, running: Run) -> str:
    """Write the page."""
    return str(len(report.clips) + len(running.takes))
