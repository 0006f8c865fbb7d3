"""Goal: the policy on an OPA server keeps the policy contract, and outlives its server. Method: the contract class and
the Rego unit tests on the real server, which is also killed, frozen and given another bundle."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import as_file, files
from pathlib import Path

import orjson
import pytest

from relmachine.errors import Code, RelmError
from relmachine.gates.classes import RateMeter, SizeBounds
from relmachine.gates.grants import Grants, shipped_policy
from relmachine.gates.opa import OpaPolicy
from relmachine.gates.opa_bounds import OpaBounds
from relmachine.gates.opa_server import write_bundle
from relmachine.gates.policy import RegoPolicy
from relmachine.gates.port import PolicyGate
from relmachine.kernel.verdicts import Refusal
from tests.contract.opa_process import OpaProcess, OpaProcesses, opa_processes
from tests.contract.policy_contract import CASES, GRANTS, NO_GRANTS, PolicyContract, candidate, reasons_of
from tests.real_servers import need

pytestmark = pytest.mark.process

UNDEFINED = "package relmachine.steps\n\ndecisions := [] if input.questions == []\n"
"""Rules that pass the check at start and then decide nothing."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaProcesses]:
    yield from opa_processes(tmp_path_factory.mktemp("opa"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpaProcess]:
    """A server of the contract's grants, to be mistreated."""
    one = OpaProcess(tmp_path, GRANTS)
    one.start()
    yield one
    one.kill()


class TestOpaPolicy(PolicyContract):
    """The policy on a server."""

    @pytest.fixture(autouse=True)
    def _servers(self, servers: OpaProcesses) -> None:
        need("opa")
        self.servers = servers

    @asynccontextmanager
    async def opened(
        self, grants: Grants | None = None, meter: RateMeter | None = None, bounds: SizeBounds | None = None
    ) -> AsyncGenerator[PolicyGate]:
        url = self.servers.serving(grants).url
        async with OpaPolicy.opened(url, "permit", grants, meter, bounds) as policy:
            yield policy

    @asynccontextmanager
    async def opened_undefined(self) -> AsyncGenerator[PolicyGate]:
        async with OpaPolicy.opened(self.servers.serving(None, UNDEFINED).url, "permit") as policy:
            yield policy

    def test_its_refusals_are_those_of_the_policy_in_process(self) -> None:
        steps = [candidate(changes, size_bytes) for changes, size_bytes, _ in CASES]

        async def run() -> tuple[Sequence[Refusal | None], Sequence[Refusal | None]]:
            async with self.opened(GRANTS) as policy:
                return await policy.decide(steps), await RegoPolicy("permit", GRANTS).decide(steps)

        on_a_server, in_process = asyncio.run(run())
        assert on_a_server == in_process

    def test_other_grants_than_the_servers_do_not_start(self) -> None:
        async def run() -> None:
            async with OpaPolicy.opened(self.servers.serving(GRANTS).url, "permit", NO_GRANTS):
                pytest.fail("it started")

        with pytest.raises(RelmError) as caught:
            asyncio.run(run())
        assert caught.value.code is Code.POLICY_MISMATCH

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("PUT", "v1/data/grants"),
            ("PUT", "v1/data/anything"),
            ("DELETE", "v1/data/grants"),
            ("PUT", "v1/policies/own"),
            ("DELETE", "v1/policies/steps.rego"),
        ],
    )
    def test_nothing_of_it_can_be_changed_over_http(self, method: str, path: str) -> None:
        body = b"package system.log\n\ndrop := true\n" if "policies" in path else b"[]"
        request = urllib.request.Request(f"{self.servers.serving(GRANTS).url}/{path}", body, method=method)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        caught.value.close()
        assert caught.value.code in {400, 404}
        assert self.decided(GRANTS, [candidate({})]) == [[[]]]


def test_the_rego_tests_pass_on_the_server_too() -> None:
    told = "".join(shipped_policy(name) for name in ("steps_test.rego", "log_test.rego"))
    count = len(re.findall(r"^test_\w+", told, re.MULTILINE))
    with as_file(files("relmachine").joinpath("policies")) as folder:
        for command in (["check", "--strict"], ["fmt", "--fail", "--list"], ["test"]):
            ran = subprocess.run([need("opa"), *command, str(folder)], capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"PASS: {count}/{count}" in ran.stdout


def test_kill_9_of_the_server_fails_the_turn_and_the_next_one_is_decided(server: OpaProcess) -> None:
    async def run() -> list[object]:
        async with OpaPolicy.opened(server.url, "permit", GRANTS) as policy:
            found: list[object] = [await policy.decide([candidate({})])]
            for thread in ("case-2", "case-3"):
                server.kill()
                with pytest.raises(RelmError) as caught:
                    await policy.decide([candidate({"thread": thread})])
                found.append(caught.value.code)
                await server.started_again()
                found.append(await policy.decide([candidate({"thread": thread})]))
            return found

    assert asyncio.run(run()) == [[None], *[Code.UNREACHABLE, [None]] * 2]


def test_a_server_that_was_restarted_unnoticed_is_asked_on_a_new_connection(server: OpaProcess) -> None:
    async def run() -> Sequence[Refusal | None]:
        async with OpaPolicy.opened(server.url, "permit", GRANTS) as policy:
            server.kill()
            await server.started_again()
            return await policy.decide([candidate({})])

    assert asyncio.run(run()) == [None]


def test_a_server_killed_while_it_is_asked_denies_nothing(server: OpaProcess) -> None:
    async def run() -> Code:
        async with OpaPolicy.opened(server.url, "permit", GRANTS) as policy:
            server.freeze()
            asking = asyncio.ensure_future(policy.decide([candidate({})]))
            done, _ = await asyncio.wait({asking}, timeout=0.2)
            assert not done
            server.kill()
            with pytest.raises(RelmError) as caught:
                await asking
            return caught.value.code

    assert asyncio.run(run()) is Code.UNREACHABLE


@pytest.mark.parametrize("silence", ["deny", "defer"])
def test_a_frozen_server_means_what_is_set_and_is_forgotten(server: OpaProcess, silence: str) -> None:
    bounds = OpaBounds(answer_seconds_max=0.5, connect_seconds_max=0.2, silence=silence)  # type: ignore[arg-type]

    async def run() -> tuple[object, Sequence[Refusal | None]]:
        async with (
            OpaPolicy.opened(server.url, "permit", GRANTS, opa_bounds=bounds) as policy,
            AsyncExitStack() as after,
        ):
            server.freeze()
            after.callback(server.thaw)
            try:
                found: object = reasons_of((await policy.decide([candidate({})]))[0])
            except RelmError as error:
                found = error.code
            await after.aclose()
            return found, await policy.decide([candidate({})])

    assert asyncio.run(run()) == (["undecided"] if silence == "deny" else Code.UNREACHABLE, [None])


def test_a_server_that_comes_back_with_other_grants_decides_nothing(server: OpaProcess) -> None:
    async def run() -> Code:
        async with OpaPolicy.opened(server.url, "permit", GRANTS) as policy:
            server.kill()
            write_bundle(server.bundle, NO_GRANTS)
            await server.started_again()
            with pytest.raises(RelmError) as caught:
                await policy.decide([candidate({})])
            return caught.value.code

    assert asyncio.run(run()) is Code.UNREACHABLE


def test_the_decision_log_explains_every_decision_and_names_nobody(server: OpaProcess) -> None:
    async def run() -> None:
        async with OpaPolicy.opened(server.url, "permit", GRANTS) as policy:
            await policy.decide([candidate({"principal": name}) for name in ("alice", "mallory", "team-x")])

    asyncio.run(run())
    entries = [orjson.loads(line) for line in server.log.splitlines() if '"Decision Log"' in line]
    logged = entries[-1]
    questions = logged["input"]["questions"]
    assert [question["thread"] for question in questions] == ["case-1"] * 3
    assert [question["principal"][:7] for question in questions] == ["sha256:"] * 3
    assert len({question["principal"] for question in questions}) == 3
    assert [decision["reasons"] for decision in logged["result"]] == [[], ["principal"], []]
    assert logged["labels"]["machine"] == "permit"
    assert [bundle["revision"] for bundle in logged["bundles"].values()] == [server.revision]
    assert not re.search("alice|mallory|team-x|xxx", server.log)


def test_a_bundle_half_written_has_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle"
    write_bundle(bundle, GRANTS)
    replace = Path.replace

    def cut(path: Path, target: Path) -> Path:
        if target.name == "data.json":
            raise OSError("no space left")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", cut)
    with contextlib.suppress(OSError):
        write_bundle(bundle, NO_GRANTS)
    assert not (bundle / ".manifest").exists()
    monkeypatch.undo()
    assert orjson.loads((bundle / ".manifest").read_bytes() if write_bundle(bundle) else b"")["revision"]
