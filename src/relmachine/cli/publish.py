"""`relm publish`: one step, over HTTP to the node of a context."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import quote

import typer

from relmachine.cli.failure import command
from relmachine.cli.interrupt import resuming
from relmachine.cli.options import CONTEXT_DEFAULT, ContextOption, JsonOption, ThreadArgument
from relmachine.errors import Code, RelmError

SOURCE = "urn:relm:cli"


@command
def publish(
    thread: ThreadArgument,
    step: Annotated[str, typer.Argument(metavar="STEP", help="The step's name.")],
    *,
    data: Annotated[
        str, typer.Option("--data", help="The payload as a JSON object; @FILE reads it, @- from stdin.")
    ] = "{}",
    id: Annotated[
        str | None, typer.Option("--id", help="Give one to be able to repeat safely; made up if absent.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="Who publishes: with --id the identity of the step.")
    ] = SOURCE,
    principal: Annotated[str | None, typer.Option("--principal", help="On whose behalf, for the policy.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the outcome.")] = False,
    context: ContextOption = CONTEXT_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Publish a step on a thread. With --wait exit 1 when it is refused."""
    from relmachine.cli.addressing import http_url, running, thread_token
    from relmachine.cli.output import out, print_json

    node, token = running(context), thread_token(thread)
    event = {
        "specversion": "1.0",
        "id": id or uuid.uuid4().hex,
        "source": source,
        "type": step,
        "subject": token,
        "machine": node.machine,
        "machineversion": node.version,
        "data": _data(data),
    }
    body = event if principal is None else {**event, "principal": principal}
    with resuming(f", with --id {event['id']}: a step is never taken twice"), _telling_repeats(as_json=as_json):
        answer = _published(f"{http_url(node)}/threads/{quote(token, safe='')}/steps", body, wait=wait)
    if as_json:
        print_json(answer)
    elif "event" in answer:
        _print_committed(answer)
    else:
        again = "published before: it is already" if answer.get("duplicate") else "it is"
        out().print(f"{again} on the stream at sequence {answer['sequence']}, not decided yet", soft_wrap=True)
    if wait and "event" not in answer:
        sentence = f"the step is on the stream, but not decided yet: publish again with --id {event['id']} to ask"
        raise RelmError(Code.UNREACHABLE, sentence, sequence=answer["sequence"])


def _data(text: str) -> dict[str, object]:
    """The payload. What is no JSON object is a fault in the command line, exit 2."""
    import orjson

    if text.startswith("@"):
        try:
            text = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise typer.BadParameter(f"write the payload in UTF-8: {error}", param_hint="--data") from error
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"give a JSON object: {error}", param_hint="--data") from error
    if not isinstance(value, dict):
        raise typer.BadParameter("give a JSON object, such as '{\"member\": 1}'", param_hint="--data")
    return cast(dict[str, object], value)


def _published(url: str, event: Mapping[str, object], *, wait: bool) -> dict[str, object]:
    """What the node answers; of a step that was published before, the recorded outcome, as far as there is one.

    Errors: the node's; a refusal that was recorded before has `repeated` in its witness.
    """
    from relmachine.cli.http import get, post
    from relmachine.machine.canonical import canonical

    answer = post(f"{url}?wait=settled" if wait else url, canonical(event), "application/cloudevents+json")
    if not answer.get("duplicate"):
        return answer
    try:
        key = quote(str(answer.get("key", "")), safe="")
        return {**get(f"{url}/{answer['sequence']}?key={key}"), "repeated": True}
    except RelmError as error:
        if error.code is Code.NOT_FOUND:  # not decided yet
            return answer
        raise RelmError(error.code, error.sentence, **{**error.witness, "repeated": True}) from error


@contextlib.contextmanager
def _telling_repeats(*, as_json: bool) -> Generator[None]:
    """Say of a refusal that it is not of today before it is printed; with JSON the witness says so."""
    try:
        yield
    except RelmError as error:
        if error.witness.get("repeated") and not as_json:
            typer.echo("published before: nothing changed, it was refused", err=True)
        raise


def _print_committed(answer: dict[str, object]) -> None:
    from relmachine.cli.output import out, rows_table

    if answer.get("outcome") == "opened":
        thread, sequence = answer["thread"], answer["sequence"]
        out().print(
            f"opened at sequence {sequence}: it runs outside its turn, `relm thread runs {thread}` shows how it goes"
        )
        return
    if answer.get("outcome") == "held":
        missing = ", ".join(cast(list[str], answer["missing"]))
        out().print(f"held at sequence {answer['sequence']}: it waits for {missing}, `relm held` shows all that wait")
        return
    again = "published before: nothing changed, it was " if answer.get("repeated") else ""
    out().print(f"{again}committed at sequence {answer['sequence']}", soft_wrap=True)
    out().print(f"event   {answer['event']}\nhistory {answer['history']}", soft_wrap=True)
    transitions = cast(list[dict[str, object]], answer.get("transitions", []))
    if transitions:
        out().print(rows_table([{"claim": item["claim"], "kind": item["kind"]} for item in transitions]))
