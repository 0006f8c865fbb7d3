"""Effects and refusals as the texts that the store keeps and the feed tells. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import orjson

from relmachine.kernel.lane import Effect
from relmachine.machine.canonical import canonical_text

if TYPE_CHECKING:
    from relmachine.kernel.candidate import Candidate
    from relmachine.kernel.verdicts import Refusal


def evidence_text(candidate: Candidate) -> str:
    """Who asked, when, and in which trace, as it is stored."""
    evidence = {"principal": candidate.principal, "time": candidate.time, "traceparent": candidate.traceparent}
    return _json({name: value for name, value in evidence.items() if value is not None})


def refusal_text(refusal: Refusal) -> str:
    """The refusal as it is stored."""
    members = {
        "code": refusal.code,
        "gate": refusal.gate,
        "sentence": refusal.sentence,
        "witness": dict(refusal.witness),
    }
    return orjson.dumps(members, default=str).decode()


def control_of(body: bytes) -> Mapping[str, object]:
    """What a message of the feed says of an effect; empty for one that says nothing of any."""
    return cast("Mapping[str, object]", orjson.loads(body).get("control") or {})


def effect_of(thread: str, control: Mapping[str, object]) -> Effect:
    """The effect that a message of the feed tells of."""
    payload, refusal = control["payload"], control["refusal"]
    return Effect(
        thread,
        cast(int, control["sequence"]),
        cast(str, control["record"]),
        cast(str, control["key"]),
        cast(int, control["at_sequence"]),
        cast(str, control["at_history"]),
        cast(int, control["epoch"]),
        "" if payload is None else canonical_text(payload),
        _json(control["evidence"]),
        cast(str, control["outcome"]),
        "" if refusal is None else _json(refusal),
    )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
