"""One request to a node's HTTP API. Errors come back as the node says them."""

from __future__ import annotations

from typing import cast
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import orjson

from relmachine.errors import Code, RelmError

SECONDS_MAX = 60.0
"""How long to wait for an answer: longer than the node waits for an outcome."""


def post(url: str, body: bytes, content_type: str) -> dict[str, object]:
    """The JSON object that the node answers. Errors: the node's own; `unreachable` when there is no answer."""
    return _answer(Request(url, data=body, headers={"Content-Type": content_type}, method="POST"))


def get(url: str, seconds: float = SECONDS_MAX) -> dict[str, object]:
    """The JSON object at `url` of the node, within so many seconds. Errors as for `post`."""
    return _answer(Request(url), seconds)


def _answer(request: Request, seconds: float = SECONDS_MAX) -> dict[str, object]:
    url = request.full_url
    # The node's address comes from its own data folder: no proxy stands between.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=seconds) as answer:
            return _object(answer.read(), url)
    except HTTPError as error:
        with error:
            raise _refusal(_object(error.read(), url), error.code) from error
    except (URLError, TimeoutError, ConnectionError) as error:
        sentence = "the node does not answer: see whether it still runs, or start it again with `relm dev`"
        raise RelmError(Code.UNREACHABLE, sentence, url=url, detail=str(error)) from error


def _refusal(answer: dict[str, object], status: int) -> RelmError:
    code, sentence = str(answer.get("code")), str(answer.get("sentence"))
    witness = {str(key): value for key, value in cast(dict[str, object], answer.get("witness") or {}).items()}
    for name in ("gate", "sequence", "repeated"):
        if answer.get(name) not in (None, False):
            witness[name] = answer[name]
    if code not in set(Code):
        return RelmError(Code.INTERNAL, f"the node answers {status} {code}: {sentence}", **witness)
    return RelmError(Code(code), sentence, **witness)


def _object(content: bytes, url: str) -> dict[str, object]:
    try:
        value: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        sentence = "what answers there is no relmachine node: name the node's data folder with --context"
        raise RelmError(Code.UNREACHABLE, sentence, url=url)
    return cast(dict[str, object], value)
