"""Goal: servers keep the administrator's contract, and no write is sent twice. Method: the contract class on one real
server, cleared before each test; a stand-in that loses requests and answers; addresses where nobody listens."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web
from typer.testing import CliRunner

from relmachine.cli.app import app
from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits
from relmachine.machine.plan import Plan
from relmachine.node.context import Context
from relmachine.store.admin import run
from relmachine.store.rqlite.admin import RqliteAdmin
from relmachine.store.rqlite.bounds import RqliteBounds
from relmachine.store.rqlite.level import Level
from relmachine.store.rqlite.store import RqliteStore
from tests.contract.admin_contract import AdminContract
from tests.contract.rqlite_between import Between, Fate
from tests.contract.rqlite_servers import RqliteServers, free_ports
from tests.contract.store_turns import Desk

pytestmark = pytest.mark.process

INSERT = "INSERT INTO peers SELECT 'p' || count(*), '{}' FROM peers"
COUNT = "SELECT count(*) FROM peers"


class TestRqliteAdmin(AdminContract):
    """The contract, and what only servers can do."""

    @pytest.fixture
    def place(self, one_rqlite: RqliteServers) -> None:
        one_rqlite.clear()
        self.url = one_rqlite.urls[0]

    async def open(self, plan: Plan, limits: Limits | None = None) -> RqliteStore:
        return await RqliteStore.open([self.url], plan, limits)

    def admin(self, limits: Limits | None = None) -> RqliteAdmin:
        return self.at(self.url, limits=limits)

    def at(self, *urls: str, limits: Limits | None = None, level: Level = Level.LINEARIZABLE) -> RqliteAdmin:
        """For an administrator who knows these addresses."""
        return RqliteAdmin(urls, limits or Limits(), level, RqliteBounds(attempt_seconds_max=1.0))

    @pytest.mark.parametrize("level", Level)
    def test_reads_are_of_the_level_that_is_shown(self, level: Level) -> None:
        asked: list[str] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.query["level"])
            return web.json_response({"results": [{"columns": ["one"], "types": ["integer"], "values": [[1]]}]})

        async def test() -> None:
            async with _Served(answer) as url:
                admin = self.at(url, level=level)
                assert (await asyncio.to_thread(run, admin, "SELECT 1", writes=False)).rows == ((1,),)
                assert admin.level == f"reads are {level}"

        asyncio.run(test())
        assert asked == [level]
        assert self.at(self.url, level=level).read(COUNT).rows == ((0,),)

    def test_a_server_that_is_away_is_passed_over(self) -> None:
        nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
        with closing(self.at(nobody, self.url)) as admin:
            assert run(admin, INSERT, writes=True) == 1
            assert admin.read(COUNT).rows == ((1,),)
        for sql in (COUNT, INSERT):
            with pytest.raises(RelmError) as refused:
                run(self.at(nobody.replace("//", "//user:secret@")), sql, writes=True)
            assert refused.value.code is Code.UNREACHABLE
            assert "secret" not in str(dict(refused.value.witness))
            assert "nothing was changed" in refused.value.sentence or sql == COUNT

    @pytest.mark.parametrize(("fate", "there"), [(Fate.LOST, 0), (Fate.UNANSWERED, 1)])
    def test_a_write_whose_answer_is_lost_is_sent_once_and_told(self, fate: Fate, there: int) -> None:
        async def test() -> None:
            async with Between(self.url) as between:
                between.fates.extend([fate] * 20)
                admin = self.at(between.url, self.url)
                with pytest.raises(RelmError) as refused:
                    await asyncio.to_thread(run, admin, INSERT, writes=True)
                assert refused.value.code is Code.UNREACHABLE
                assert "look before you send it again" in refused.value.sentence
                assert len(between.fates) == 19
                assert self.at(self.url).read(COUNT).rows == ((there,),)

        asyncio.run(test())

    @pytest.mark.parametrize("answer", [b'{"results":[],"error":"leader not found"}', b"{}", b"oops"])
    def test_an_answer_that_is_none_is_no_empty_table(self, answer: bytes) -> None:
        async def test() -> None:
            async def answered(_: web.Request) -> web.Response:
                return web.Response(body=answer)

            async with _Served(answered) as url:
                for sql in (COUNT, INSERT):
                    with pytest.raises(RelmError) as refused:
                        await asyncio.to_thread(run, self.at(url), sql, writes=True)
                    assert refused.value.code is Code.UNREACHABLE
                found = await asyncio.to_thread(run, self.at(url, self.url), COUNT, writes=False)
                assert found.rows == ((0,),)

        asyncio.run(test())

    def test_the_prompt_finds_the_servers_and_says_how_it_reads(self, tmp_path: Path) -> None:
        plan = Desk.new().plan
        Context(
            machine=plan.machine,
            version="1",
            laws_digest=plan.laws_digest,
            store_path=None,
            store_urls=(self.url,),
            nats_url="nats://127.0.0.1:1",
            http_url=None,
            pid=None,
            nats_pid=None,
        ).save(tmp_path)
        typed = ".level\nselect thread from threads\norder by 1;\n"
        for options, level in (([], "linearizable"), (["--level", "weak"], "weak")):
            found = CliRunner().invoke(app, ["sql", "--context", str(tmp_path), *options], input=typed)
            assert found.exit_code == 0, found.output
            words = found.stdout.split()
            assert words[:4] == ["reads", "are", level, "thread"]
            assert words[-2:] == ["a", "b"]
        written = CliRunner().invoke(app, ["sql", "--context", str(tmp_path), "--write"], input=f"{INSERT};")
        assert "1 row changed" in written.stdout
        assert self.admin().read(COUNT).rows == ((1,),)

    def test_an_answer_beyond_the_bound_names_it(self) -> None:
        admin = RqliteAdmin([self.url], Limits(), Level.WEAK, RqliteBounds(answer_bytes_max=1000))
        with pytest.raises(RelmError) as refused:
            admin.read("SELECT hex(zeroblob(1000))")
        assert refused.value.witness["answer_bytes_max"] == 1000


class _Served:
    """A server of ours that answers everything by one function."""

    def __init__(self, answer: object) -> None:
        self._app = web.Application()
        self._app.router.add_route("*", "/{path:.*}", answer)  # type: ignore[arg-type]

    async def __aenter__(self) -> str:
        self._runner = web.AppRunner(self._app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
