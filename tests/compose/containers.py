"""The cluster of `docker-compose.yml` in an engine of its own: built, started, asked, harmed, ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.compose.base_image import base_archive
from tests.compose.engine import Engine, engine, run

ROOT = Path(__file__).parents[2]
LOOK_SECONDS = 0.25
_BASE = "relmachine/base:tests"


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 180.0) -> float:
    """Seconds until `condition` held; fails with `what` after the deadline."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"waited {seconds:.0f} s for {what}"
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


@dataclass
class Containers:
    """The project in its engine. `seconds` says how long what took."""

    engine: Engine
    images: Path
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def compose(self, *arguments: str) -> str:
        """What docker-compose prints."""
        own = {"COMPOSE_PROFILES": "core", "COMPOSE_PROJECT_NAME": "relm", "RELM_IMAGES": str(self.images)}
        command = ["docker-compose", "--file", str(ROOT / "docker-compose.yml"), *arguments]
        return run(command, {**self.engine.environment, **own, "BASE_IMAGE": _BASE}, cwd=ROOT)

    def build(self) -> None:
        """Build every image, with nothing from any registry."""
        with self.timed("base image"):
            self.engine.docker("import", str(base_archive()), _BASE)
        with self.timed("image folders"):
            run([sys.executable, str(ROOT / "deploy" / "compose" / "images.py"), str(self.images)])
        with self.timed("images"):
            self.compose("build")

    def look(self, name: str) -> dict[str, Any]:
        """What the engine knows about the container of a service."""
        return json.loads(self.engine.docker("inspect", container(name)))[0]

    def healthy(self, name: str) -> bool:
        """Whether its last health checks succeeded."""
        state = self.look(name)["State"]
        return state["Running"] and state["Health"]["Status"] == "healthy"

    def exec(self, name: str, *command: str) -> str:
        """What a program prints in the container of a service."""
        return self.engine.docker("exec", container(name), *command)

    def start(self, name: str, *command: str) -> subprocess.Popen[str]:
        """A program that runs on in the container of a service."""
        return subprocess.Popen(
            ["docker", "exec", container(name), *command],
            env=self.engine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, address: str) -> Any:
        """The JSON that something in the engine's network answers."""
        return json.loads(self.engine.inside("curl", "-s", "-S", "--max-time", "10", address))

    def host(self, name: str) -> str:
        """The address of the container of a service in the project's network."""
        (network,) = self.look(name)["NetworkSettings"]["Networks"].values()
        return network["IPAddress"]

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long the block took."""
        began = time.monotonic()
        yield
        self.seconds[what] = round(time.monotonic() - began, 1)

    def logs(self, names: Sequence[str], lines: int = 15) -> str:
        """The last lines of what each printed."""
        return "\n".join(f"--- {name}\n{self.compose('logs', '--no-color', f'--tail={lines}', name)}" for name in names)


def container(name: str) -> str:
    """The container's name of a service."""
    return f"relm_{name}_1"


@contextlib.contextmanager
def containers() -> Iterator[Containers]:
    """The images built and nothing started; everything is gone afterwards."""
    with engine() as running:
        made = Containers(running, running.folder / "images")
        made.build()
        yield made
