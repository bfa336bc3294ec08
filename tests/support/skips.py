"""What may be skipped, and why; with `KERAS_OOD_STRICT_SKIPS=1`, as CI sets it, any other skip fails."""

import os
import re

import pytest

ALLOWED = {
    "no GPU": "few machines have one; `--check-gpu` asks for it",
    "KERAS_OOD_DATA is not set": "real data sets are too large for a repository; a folder that is named must have all",
    "the real Hub does not fail on demand": "happens only with KERAS_OOD_HUB_TESTS=1, where no Hub on loopback is",
}


def check(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a failure of a skip that `ALLOWED` does not list."""
    if not report.skipped or hasattr(report, "wasxfail") or os.environ.get("KERAS_OOD_STRICT_SKIPS") != "1":
        return
    reason = re.sub("^Skipped: ", "", report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr))
    if reason not in ALLOWED:
        report.outcome = "failed"
        report.longrepr = f"Skips are allowed for {sorted(ALLOWED)} (tests/support/skips.py). Received: {reason!r}"
