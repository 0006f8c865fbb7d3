"""`python -m tables`: write everything that follows from `kernel/lifecycle.toml`, or say what of it is otherwise."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tables import page, python, triggers
from tables.laws import broken
from tables.model import ROOT, Model, read


def written(model: Model) -> dict[Path, str]:
    """What each file is to hold."""
    schema = triggers.FILE.read_text(encoding="utf-8")
    return {
        python.FILE: python.python(model),
        page.FILE: page.page(model),
        triggers.FILE: triggers.schema(model, schema),
    }


def main() -> int:
    """Exit 1 when the model breaks a law, or with --check when a file is otherwise."""
    options = argparse.ArgumentParser(prog="python -m tables", description=__doc__)
    options.add_argument("--check", action="store_true", help="write nothing; exit 1 when something would change")
    check = options.parse_args().check
    model = read()
    laws = broken(model)
    if laws:
        print(*laws, sep="\n", file=sys.stderr)
        return 1
    files = written(model)
    changed = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        if not check:
            path.write_text(files[path], encoding="utf-8")
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
