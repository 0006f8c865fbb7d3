"""The prompt of `relm sql`: statements that may go over many lines, commands that begin with a dot, and a history."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from relmachine.cli.failure import tell
from relmachine.cli.sql_result import print_rows
from relmachine.cli.typed import Typed
from relmachine.errors import Code, RelmError
from relmachine.store.admin import Admin, run
from relmachine.store.opening import check_schema_version
from relmachine.store.statement import is_blank, split

_WARNING = """\
--write: what you send is written, for every node and for good. Each statement is a transaction of its own. Triggers
still hold: what is written once stays as it is, and a thread moves only by a commit. `relm verify` afterwards shows
whether the store still says what its events give."""
_META = "SELECT key, value FROM meta"
_TABLES = "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY 1"
_SCHEMA = """
SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'trigger' {}
ORDER BY type = 'index', type = 'view', rowid
"""


class Prompt:
    """One session on one store. At a terminal an error is told and the next statement may come; from a file or a pipe
    the first error ends it."""

    def __init__(self, admin: Admin, *, writes: bool, as_json: bool) -> None:
        self._admin, self._writes, self._as_json = admin, writes, as_json
        self._typed = Typed("relm (writes)> " if writes else "relm> ", "   ...> ")
        self._commands: Mapping[str, Callable[[str], None]] = {
            ".tables": self._tables,
            ".schema": self._schema,
            ".level": self._level,
            ".help": self._help,
            ".quit": _quit,
        }

    def run(self) -> None:
        """Until `.quit`, the end of what is typed, or an error where nobody is there to read it.

        Errors: `not_found` when there is no store, `store_schema_future`, those of `store.admin.Admin`.
        """
        self._greet()
        with self._typed.remembered():
            try:
                for text in self._texts():
                    self._told(text)
            except EOFError:
                return

    def _greet(self) -> None:
        try:
            meta = {str(key): str(value) for key, value in self._admin.read(_META).rows}
        except RelmError as error:
            if error.code is not Code.QUERY_REFUSED:
                raise
            raise RelmError(Code.NOT_FOUND, "there is no store here: start a node first", **error.witness) from error
        check_schema_version(meta)
        if self._writes:
            _say(_WARNING)
        if self._typed.by_hand:
            _say(f"store of machine {meta['machine']}; {self._admin.level}; .help says what may be typed")

    def _texts(self) -> Iterator[str]:
        """What was typed, statement by statement, commands among them."""
        waiting = ""
        while True:
            try:
                line = self._typed.line(begun=not is_blank(waiting))
            except KeyboardInterrupt:
                if not self._typed.by_hand:
                    raise
                print()
                waiting = ""
                continue
            if line is None:
                break
            if is_blank(waiting) and line.startswith("."):
                yield line
            else:
                whole, waiting = split(f"{waiting}{line}\n")
                yield from whole
        if not is_blank(waiting):
            if self._typed.by_hand:
                _say("a statement ends with `;`: the last one was not sent")
            else:
                yield waiting

    def _told(self, text: str) -> None:
        """Do what was typed. By hand, what goes wrong is told."""
        try:
            self._do(text)
        except RelmError as error:
            if not self._typed.by_hand:
                raise
            tell(error, as_json=self._as_json, during="sql")
        except KeyboardInterrupt:
            if not self._typed.by_hand:
                raise
            _say("interrupted: if it was a write, look before you send it again")

    def _do(self, text: str) -> None:
        if text.startswith("."):
            name, _, rest = text.strip().partition(" ")
            if name not in self._commands:
                raise RelmError(Code.QUERY_REFUSED, "type .help for the commands there are", command=name)
            self._commands[name](rest.strip())
        elif not is_blank(text.rstrip().removesuffix(";")):
            found = run(self._admin, text, writes=self._writes)
            if not isinstance(found, int):
                print_rows(found, as_json=self._as_json)
            elif self._as_json:
                print_changed(found)
            else:
                print(f"{found} {'row' if found == 1 else 'rows'} changed")

    def _tables(self, _rest: str) -> None:
        print_rows(self._admin.read(_TABLES), as_json=self._as_json)

    def _schema(self, name: str) -> None:
        quoted = name.replace("'", "''")
        found = self._admin.read(_SCHEMA.format(f"AND tbl_name = '{quoted}'" if name else ""))
        if name and not found.rows:
            raise RelmError(Code.NOT_FOUND, f"no table or view {name!r}: .tables shows those there are", name=name)
        if self._as_json:
            print_rows(found, as_json=True)
        else:
            print("\n".join(f"{row[0]};" for row in found.rows))

    def _level(self, _rest: str) -> None:
        print(self._admin.level)

    def _help(self, _rest: str) -> None:
        may = "SELECT, INSERT, UPDATE or DELETE" if self._writes else "SELECT"
        print(
            f"{may}, ended by `;`, over as many lines as you like; Ctrl-C drops what is typed\n"
            ".tables         tables and views\n"
            ".schema [NAME]  how they were made\n"
            ".level          how sure a read is to see the last commit\n"
            ".help           this\n"
            ".quit           end; so does Ctrl-D"
        )


def print_changed(rows: int) -> None:
    """Print how many rows changed, as JSON."""
    from relmachine.cli.output import print_json

    print_json({"changed": rows})


def _quit(_rest: str) -> NoReturn:
    raise EOFError


def _say(text: str) -> None:
    print(text, file=sys.stderr)
