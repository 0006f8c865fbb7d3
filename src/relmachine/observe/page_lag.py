"""The part of the status page that tells how far behind everything is."""

from __future__ import annotations

from relmachine.observe.answers_lag import Lag
from relmachine.observe.html import table, text
from relmachine.observe.page_threads import thread_link


def lag(found: Lag | None) -> str:
    """The lanes, then the threads that lag most."""
    return _lanes(found) + _lagging(found)


def _lanes(lag: Lag | None) -> str:
    if lag is None:
        return '<p class="muted">The stream does not answer.</p>'
    return table(
        ("lane", "#newest", "#waiting", "#undelivered", "#unacknowledged", "#oldest, s"),
        (
            (
                text(lane.lane),
                text(lane.newest),
                _known(lane.waiting),
                _known(lane.undelivered),
                _known(lane.unacknowledged),
                _known(lane.oldest_seconds),
            )
            for lane in lag.lanes
        ),
        "",
    )


def _lagging(lag: Lag | None) -> str:
    if lag is None or not lag.threads:
        return ""
    return table(
        ("label", "#behind", "#cursor", "#newest", "#oldest, s"),
        (
            (
                thread_link(line.thread),
                text(line.behind),
                _known(line.cursor),
                text(line.newest),
                _known(line.oldest_seconds),
            )
            for line in lag.threads
        ),
        "",
    )


def _known(value: float | None) -> str:
    return "" if value is None else text(value)
