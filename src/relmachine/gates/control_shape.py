"""Gate 1 for control records: the canonical text of a record's payload, or why it is none."""

from __future__ import annotations

from pydantic import ValidationError

from relmachine.errors import Code, RelmError
from relmachine.kernel.control import RECORDS
from relmachine.kernel.limits import Limits
from relmachine.kernel.problems import problems
from relmachine.kernel.thread_token import check_thread
from relmachine.machine.canonical import canonical_text


def control_payload(token: str, named: str, raw: str, limits: Limits) -> str:
    """The payload of the record that travels under `token`. Errors: `unknown_step`, `payload_invalid`,
    `thread_name_invalid`.
    """
    if named != token:
        sentence = f"'type' must be the last token of the subject, {token!r}"
        raise RelmError(Code.UNKNOWN_STEP, sentence, expected=token, found=named)
    try:
        record = RECORDS[token].model_validate_json(raw)
    except ValidationError as error:
        sentence = f"send the payload that the control record {token!r} has; the witness names what is wrong"
        raise RelmError(Code.PAYLOAD_INVALID, sentence, problems=problems(error)) from error
    for thread in record.threads():
        check_thread(thread, limits)
    return canonical_text(record.model_dump(mode="json"))
