"""A `go` that compiles nothing: a shell script that answers the questions the builder asks, and notes each call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """\
#!/bin/sh
printf '%s | %s | GOTOOLCHAIN=%s CGO_ENABLED=%s GOCACHE=%s GOMODCACHE=%s GOWORK=%s\\n' \\
    "$PWD" "$*" "$GOTOOLCHAIN" "$CGO_ENABLED" "$GOCACHE" "$GOMODCACHE" "$GOWORK" >> {calls}
case "$1 $2" in
  "version "*) echo "go version go{release} linux/amd64" ;;
  "env CC") echo "{compiler}" ;;
  "mod download") cat {told}; exit {download_exit} ;;
  "build "*)
    echo "go: downloading example.org/part v1" >&2
    while [ "$1" != -o ]; do shift; done
    if [ {build_exit} -ne 0 ]; then echo "part.go:1: it does not compile" >&2; exit {build_exit}; fi
    printf '#!/bin/sh\\necho hammer 1.0.0\\n' > "$2"; chmod +x "$2" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class FakeGo:
    """A fake Go in `folder/bin`, and a module in `folder/module` that it claims to have fetched."""

    folder: Path

    @property
    def bin(self) -> Path:
        """The folder to put on the PATH."""
        return self.folder / "bin"

    def install(
        self,
        *,
        release: str = "1.26.8",
        compiler: str = "sh -O2",
        zip_sum: str = "h1:zip",
        download_exit: int = 0,
        build_exit: int = 0,
    ) -> None:
        """Write the script, and the module."""
        module = self.folder / "module"
        (module / "part").mkdir(parents=True)
        (module / "vendor").mkdir()
        (module / "go.mod").write_text("module example.org/tools\n")
        (module / "LICENSE").write_text("as you like\n")
        (module / "part" / "stop.go").write_text("package part // theirs\n")
        (module / "part" / "stop.go").chmod(0o444)
        told = self.folder / "told.json"
        told.write_text(json.dumps({"Dir": str(module), "Sum": zip_sum, "GoModSum": "h1:mod"}))
        self.bin.mkdir()
        script = self.bin / "go"
        script.write_text(
            _SCRIPT.format(
                calls=self.folder / "calls",
                told=told,
                release=release,
                compiler=compiler,
                download_exit=download_exit,
                build_exit=build_exit,
            )
        )
        script.chmod(0o755)

    def calls(self, first: str) -> list[str]:
        """Calls whose arguments start with `first`: folder, arguments, environment."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if line.split(" | ")[1].startswith(first)]
