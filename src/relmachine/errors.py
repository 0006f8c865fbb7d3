"""Every way in which relmachine says no: one enum of codes, one exception type for callers.

An expected refusal of a step is a *value* (`relmachine.kernel.verdicts.Refusal`); `RelmError` is what a caller
gets who asked for something that cannot be given (a broken machine, a truncated log, an unknown thread).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Code(StrEnum):
    """The reason of a refusal. Stored with it, shown to people, matched by programs; never renamed."""

    # gate 1: shape
    NOT_JSON = "not_json"
    ENVELOPE_INVALID = "envelope_invalid"
    PAYLOAD_INVALID = "payload_invalid"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    PAYLOAD_TOO_DEEP = "payload_too_deep"
    NUMBER_INVALID = "number_invalid"
    TEXT_INVALID = "text_invalid"
    UNKNOWN_STEP = "unknown_step"
    THREAD_NAME_INVALID = "thread_name_invalid"
    THREAD_MISMATCH = "thread_mismatch"
    MACHINE_MISMATCH = "machine_mismatch"
    MACHINE_VERSION = "machine_version"
    SCHEMA_VERSION = "schema_version"
    ID_CONFLICT = "id_conflict"
    # gate 2: policy
    POLICY_DENIED = "policy_denied"
    GRANTS_INVALID = "grants_invalid"
    POLICY_MISMATCH = "policy_mismatch"
    # gate 3: laws
    REQUIRES = "requires"
    CONTEST_ABSENT = "contest_absent"
    VETO_TOO_LATE = "veto_too_late"
    ONCE = "once"
    LAW_VIOLATED = "law_violated"
    LAW_BROKEN = "law_broken"
    LAW_LIMIT = "law_limit"
    # fork, merge, resolve
    THREAD_NOT_NEW = "thread_not_new"
    THREAD_CLOSED = "thread_closed"
    HISTORY_MISMATCH = "history_mismatch"
    GENESIS_MISMATCH = "genesis_mismatch"
    MERGE_UNPAIRED = "merge_unpaired"
    OBSTRUCTED = "obstructed"
    ALREADY_RESOLVED = "already_resolved"
    # engine
    CLOSURE_FAILED = "closure_failed"
    UNDECLARED_READ = "undeclared_read"
    OUTPUT_INVALID = "output_invalid"
    IMPURE = "impure"
    # runs: steps outside their turn
    RUN_FAILED = "run_failed"
    RUN_CAP = "run_cap"
    RUN_STUCK = "run_stuck"
    RUN_CANCELLED = "run_cancelled"
    RUN_OVERTAKEN = "run_overtaken"
    RUN_UNKNOWN = "run_unknown"
    RUN_DIVERGED = "run_diverged"
    BUDGET_SPENT = "budget_spent"
    MODEL_UNBOUND = "model_unbound"
    MODEL_FAILED = "model_failed"
    TOOL_FAILED = "tool_failed"
    # steps that are held
    HELD_TOO_LONG = "held_too_long"
    HELD_UNKNOWN = "held_unknown"
    # control lane
    THREAD_CANCELLED = "thread_cancelled"
    THREAD_PAUSED = "thread_paused"
    # declaring and loading a machine
    MACHINE_INVALID = "machine_invalid"
    # ingest
    LOG_TRUNCATED = "log_truncated"
    LOG_INVALID = "log_invalid"
    LOG_EMPTY = "log_empty"
    # store, stream, node
    STORE_SCHEMA_FUTURE = "store_schema_future"
    STORE_SCHEMA_PAST = "store_schema_past"
    STORE_MACHINE_MISMATCH = "store_machine_mismatch"
    STORE_DAMAGED = "store_damaged"
    TOPOLOGY_MISMATCH = "topology_mismatch"
    STREAM_UNFIT = "stream_unfit"
    SERVER_MISSING = "server_missing"
    SERVER_BUILD_FAILED = "server_build_failed"
    UNREACHABLE = "unreachable"
    OVERLOADED = "overloaded"
    NOT_FOUND = "not_found"
    QUERY_REFUSED = "query_refused"
    LIMIT_EXCEEDED = "limit_exceeded"
    INTERNAL = "internal"


class RelmError(Exception):
    """A request that cannot be met: a code, a sentence that says what to do, and the witness."""

    def __init__(self, code: Code, sentence: str, **witness: object) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.witness: Mapping[str, object] = witness

    def as_json(self) -> dict[str, object]:
        """The three parts as a JSON object, for `--json` and HTTP answers."""
        return {"code": str(self.code), "sentence": self.sentence, "witness": dict(self.witness)}
