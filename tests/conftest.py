"""What every test may rely on; and what a run of the suite tells at its end: which tests it left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import cast

import pytest
import structlog

from tests.real_servers import MISSING


@pytest.fixture(autouse=True)
def logs_as_they_come() -> Iterator[None]:
    """Commands set what is logged and where, for the process: what one test left of it must not decide another."""
    yield
    structlog.reset_defaults()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests that need servers which are not here are counted together, others by their reason."""
    skipped = cast("list[pytest.TestReport]", terminalreporter.stats.get("skipped", []))
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped if isinstance(report.longrepr, tuple)
    )
    servers = {reason.removeprefix(MISSING): reasons.pop(reason) for reason in [*reasons] if reason.startswith(MISSING)}
    told = [f"{count} because {reason}" for reason, count in reasons.items()]
    if servers:
        told.insert(0, f"{sum(servers.values())} because {MISSING}{', '.join(sorted(servers))} (make servers)")
    if told:
        terminalreporter.write_line(f"tests left out: {'; '.join(told)}")
