"""To look at flights: the report."""

from lnn_nav.insight.report import report as report
from lnn_nav.insight.report import write_report as write_report
