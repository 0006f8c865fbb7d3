"""The process that runs a closure with another hash seed: packed cases come in, a JSON list of outcomes goes out."""

from __future__ import annotations

import sys

import orjson

from relmachine.engine.tools.place import function_at
from relmachine.machine.closures import payload_annotation
from relmachine.testing.outcomes import outcomes, unpack


def main() -> None:
    """Answer once."""
    place, cases = unpack(sys.stdin.buffer.read())
    closure = function_at(place)
    model = payload_annotation(closure, {})
    assert model is not None, "a closure at the top level of a file names its payload there"
    sys.stdout.buffer.write(orjson.dumps(outcomes(closure, model, cases)))
