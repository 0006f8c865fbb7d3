"""A tool that nobody trusts: it reads text that came from outside, so it runs in a process of its own.

That process imports the file in which the tool is written, and nothing else of the machine: keep such a file small.
"""

from __future__ import annotations

import re

_LINE = re.compile(r"(?P<at>\S+)\s+(?P<level>[A-Z]+)\s+(?P<service>[\w-]+):\s+(?P<message>.*)")


def parse_log_line(line: str) -> dict[str, str]:
    """The parts of a log line: `at`, `level`, `service`, `message`."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise ValueError("no log line: it reads TIME LEVEL SERVICE: MESSAGE")
    return found.groupdict()
