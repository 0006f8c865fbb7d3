"""Goal: every code has a status and every error one shape. Method: the table against the enum; an app that fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from relmachine.errors import Code, RelmError
from relmachine.observe.http_errors import STATUS, answer_errors


def failing_app() -> TestClient:
    app = FastAPI()
    answer_errors(app)

    @app.get("/refused")
    def refused() -> None:
        raise RelmError(Code.ONCE, "write the value that is there", field="by", values=("a", "b"))

    @app.get("/typed")
    def typed(number: int) -> int:
        return number

    @app.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError("secret detail")

    return TestClient(app, raise_server_exceptions=False)


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(Code)
    assert all(400 <= status <= 599 for status in STATUS.values())


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/refused", 409, "once"),
        ("/typed?number=many", 400, "query_refused"),
        ("/nowhere", 404, "not_found"),
        ("/bug", 500, "internal"),
    ],
)
def test_every_error_has_the_same_shape(path: str, status: int, code: str) -> None:
    answer = failing_app().get(path)
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "sentence", "witness"}
    assert answer.json()["code"] == code
    assert answer.json()["sentence"]


def test_a_wrong_method_keeps_its_status() -> None:
    answer = failing_app().post("/refused")
    assert (answer.status_code, answer.json()["code"]) == (405, "not_found")


def test_a_bug_tells_its_type_but_not_its_text() -> None:
    assert "secret" not in failing_app().get("/bug").text


def test_the_witness_names_what_is_wrong() -> None:
    assert "number" in str(failing_app().get("/typed?number=many").json()["witness"])


def test_the_table_in_the_documentation_is_the_one_in_force() -> None:
    documented: dict[str, int] = {}
    for line in (Path(__file__).parents[3] / "docs/http.md").read_text().splitlines():
        row = re.match(r"\| (\d{3}) \| ((?:`\w+`(?:, )?)+) \|", line)
        if row:
            documented.update(dict.fromkeys(re.findall(r"`(\w+)`", row[2]), int(row[1])))
    assert documented == {str(code): status for code, status in STATUS.items()}
