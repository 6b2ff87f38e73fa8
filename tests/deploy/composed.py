"""Starts what deploy/compose.yaml declares as processes of this machine, without containers and without a shared disk.

Commands, environments, mounts, health checks and the order of starting are read from the file and from the Dockerfile.
What a container runtime would give is put in its place: each service has an address of its own in 127.0.0.0/8, which
stands for its name and lets every port be the one that is declared; each has an empty root folder, in which its mounts
are copies; of its environment only what is declared. Of images that are not ours, `postgres` is Debian's server,
`minio/minio` moto's server, `minio/mc` a script of a few lines. Does not belong here: what is done with the services.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import yaml

from tests.support import postgres

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final = DEPLOY / "compose.yaml"
_OURS: Final = "zentra"
_SECONDS_TO_START: Final = 600
_BIN: Final = Path(sys.executable).parent
# As minio/mc: the two commands that the compose file's `bucket` gives.
_MC: Final = """\
#!{python}
import sys, urllib.error, urllib.request
from pathlib import Path
aliases = Path(__file__).parent / "aliases"
if sys.argv[1:3] == ["alias", "set"]:
    name, url, user, secret = sys.argv[3:]
    assert user and secret
    try:
        urllib.request.urlopen(url + "/moto-api/")
    except OSError as cause:
        sys.exit(str(cause))
    aliases.write_text(name + " " + url)
else:
    assert sys.argv[1:3] == ["mb", "--ignore-existing"], sys.argv
    name, url = aliases.read_text().split()
    given, _, bucket = sys.argv[3].partition("/")
    assert given == name
    scope = "AWS4-HMAC-SHA256 Credential=mc/20260426/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    request = urllib.request.Request(url + "/" + bucket, method="PUT", headers={{"Authorization": scope}})
    urllib.request.urlopen(request).read()
"""


@dataclass(frozen=True)
class Image:
    """What the last stage of deploy/Dockerfile says."""

    entrypoint: list[str]
    command: list[str]
    environment: dict[str, str]

    @classmethod
    def ours(cls) -> "Image":
        last = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").rsplit("\nFROM ", 1)[1]
        (words,) = re.findall(r"^ENV (.*)$", last, re.MULTILINE)
        (entrypoint,) = re.findall(r"^ENTRYPOINT (.*)$", last, re.MULTILINE)
        (command,) = re.findall(r"^CMD (.*)$", last, re.MULTILINE)
        environment = dict(word.split("=", 1) for word in words.split())
        return cls(json.loads(entrypoint), json.loads(command), environment)


@dataclass
class Service:
    """A service of the compose file, and the processes that were started for it."""

    name: str
    said: Mapping[str, Any]
    root: Path
    address: str
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.root.with_suffix(".log")

    @property
    def cache(self) -> Path:
        return self.root / "var/lib/zentra"

    def url(self, port: int) -> str:
        return f"http://{self.address}:{port}"

    def logged(self) -> list[dict[str, Any]]:
        """What it logged as objects of JSON, a line each."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def kill(self) -> None:
        """End it as the loss of its machine would: every process of it at once, none asked."""
        found = [each.pid for each in self.processes if each.poll() is None]
        for process in found:  # grows as it is read: children of children
            os.kill(process, signal.SIGSTOP)  # so that none starts another one meanwhile
            found += _children(process)
        for process in found:
            os.kill(process, signal.SIGKILL)
        for each in self.processes:
            each.wait()
        self.processes.clear()


def _children(process: int) -> list[int]:
    return [
        int(child)
        for file in Path(f"/proc/{process}/task").glob("*/children")
        for child in file.read_text(encoding="ascii").split()
    ]


class Composed:
    """The services of deploy/compose.yaml in a folder: `start` them, `run` a command as `docker compose run` does."""

    def __init__(self, folder: Path, ending: ExitStack) -> None:
        self._folder = folder
        self._ending = ending
        self._image = Image.ours()
        self._said = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
        block = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
        self._addresses = {name: f"{block}.{number}" for number, name in enumerate(self._said, start=2)}
        self.variables = _filled_in((DEPLOY / "hosts.env.example").read_text(encoding="utf-8"))
        self.services = {name: self._service(name) for name in self._said}
        self._started: set[str] = set()

    def _service(self, name: str) -> Service:
        said = self._said[name]
        root = self._folder / name
        service = Service(name, said, root, self._addresses[name], {})
        declared = dict(self._image.environment) if said.get("image") == _OURS else {"PATH": ""}
        if "env_file" in said:
            assert said["env_file"] == "hosts.env"
            declared |= self.variables
        declared |= {key: self._interpolated(str(value)) for key, value in said.get("environment", {}).items()}
        named = {key: self._addresses.get(value, value) for key, value in declared.items()}
        service.environment = {key: self._here(service, value) for key, value in named.items()}
        service.environment |= {"PATH": f"{_BIN}:/usr/bin:/bin", "HOME": str(root / "home")}
        self._make_root(service)
        return service

    def _make_root(self, service: Service) -> None:
        """An empty root; in it what is mounted, as copies in which names are addresses."""
        (service.root / "home").mkdir(parents=True)
        service.cache.mkdir(parents=True)
        for mount in service.said.get("volumes", []):
            source, target, *_ = mount.split(":")
            if source.startswith("./"):
                copy = service.root / target.lstrip("/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                text = (DEPLOY / source).read_text(encoding="utf-8")
                copy.write_text(self._here(service, text), encoding="utf-8")

    def _here(self, service: Service, text: str) -> str:
        """A declared value as it reads on this machine: addresses for names, the service's folders for its paths."""
        for name, address in self._addresses.items():
            text = re.sub(rf"(?<![\w.-]){name}(?=:\d)|(?<=host: ){name}$", address, text, flags=re.MULTILINE)
        text = re.sub(r"^0\.0\.0\.0$", service.address, text)
        for folder in ("/var/lib/zentra", "/etc/zentra"):
            text = re.sub(rf"(?<![\w.-]){folder}(?![\w.-])", str(service.root) + folder, text)
        return text

    def _interpolated(self, text: str) -> str:
        """A value with the variables of hosts.env in it: what `--env-file` gives."""
        text = re.sub(r"(?<!\$)\$\{(\w+)[^}]*\}", lambda found: self.variables[found[1]], text)
        return text.replace("$$", "$")

    def start(self, *names: str) -> None:
        """Start services behind those that they depend on, as far as they do not run yet."""
        for name in names:
            if name not in self._started:
                self._start_dependencies(name)
                self._started.add(name)
                self._start(self.services[name])

    def _start_dependencies(self, name: str) -> None:
        needed = self._said[name].get("depends_on", {})
        conditions = {each: {} for each in needed} if isinstance(needed, list) else needed
        self.start(*conditions)
        for each, said in conditions.items():
            condition = said.get("condition", "service_started")
            if condition == "service_healthy":
                self.wait_until_healthy(each)
            elif condition == "service_completed_successfully":
                (process,) = self.services[each].processes
                assert process.wait(timeout=_SECONDS_TO_START) == 0, self.services[each].log.read_text()
            else:
                assert condition == "service_started", condition

    def _start(self, service: Service) -> None:
        image = service.said["image"].partition(":")[0]
        if image == "postgres":
            self._ending.enter_context(_postgres(service))
        elif image == "minio/minio":
            self._launch(service, [sys.executable, "-m", "moto.server", "--host", service.address, "--port", "9000"])
        elif image == "minio/mc":
            tools = service.root / "bin"
            tools.mkdir()
            (tools / "mc").write_text(_MC.format(python=sys.executable), encoding="utf-8")
            (tools / "mc").chmod(0o700)
            service.environment["PATH"] = f"{tools}:/usr/bin:/bin"
            self._launch(service, self._command(service))
        else:
            assert image == _OURS, f"what stands for the image {image}?"
            self._launch(service, self._command(service))

    def _command(self, service: Service) -> list[str]:
        """What the container would execute: an entrypoint in the compose file takes the place of the image's both."""
        entrypoint, command = service.said.get("entrypoint"), service.said.get("command", [])
        if entrypoint is None:
            entrypoint, command = self._image.entrypoint, command or self._image.command
        return self._words(service, [*entrypoint, *command])

    def _words(self, service: Service, command: list[str]) -> list[str]:
        """A command as it reads here; its first word is a program, the others may be names of services."""
        program, *rest = map(self._interpolated, command)
        return [program, *(self._here(service, self._addresses.get(word, word)) for word in rest)]

    def _launch(self, service: Service, command: list[str]) -> None:
        with service.log.open("ab") as log:
            process = subprocess.Popen(
                command, env=service.environment, cwd=service.root, stdout=log, stderr=log, start_new_session=True
            )
        service.processes.append(process)
        self._ending.callback(service.kill)

    def _is_healthy(self, service: Service) -> bool:
        kind, *command = service.said["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(self._words(service, command), env=service.environment, capture_output=True, check=False)
        return done.returncode == 0

    def run(self, name: str, *arguments: str) -> str:
        """What `docker compose run --rm` of a service with these arguments prints: a container for one command."""
        self._start_dependencies(name)
        once = self._service_once(name)
        command = [*self._image.entrypoint, *arguments]
        done = subprocess.run(command, env=once.environment, cwd=once.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _service_once(self, name: str) -> Service:
        whole, self._folder = self._folder, self._folder / f"once-{secrets.token_hex(4)}"
        try:
            return self._service(name)
        finally:
            self._folder = whole

    def restart(self, name: str) -> None:
        """Start a service again as a new container: what was in its root is gone."""
        assert not self.services[name].processes
        whole, self._folder = self._folder, self._folder / f"again-{secrets.token_hex(4)}"
        try:
            self.services[name] = self._service(name)
        finally:
            self._folder = whole
        self._start(self.services[name])

    def on_this_machine(self) -> dict[str, str]:
        """The variables of hosts.env as they read on a host beside the services."""
        beside = Service("beside", {}, self._folder / "beside", "127.0.0.1", {})
        return {key: self._here(beside, self._addresses.get(value, value)) for key, value in self.variables.items()}

    def wait_until_healthy(self, *names: str) -> None:
        """Wait until services' own health checks hold."""
        for name in names:
            pause = float(self._said[name]["healthcheck"]["interval"].removesuffix("s"))
            self.wait_until(lambda name=name: self._is_healthy(self.services[name]), f"{name} is healthy", pause=pause)

    def wait_until(
        self, holds: Callable[[], object], what: str, seconds: float = _SECONDS_TO_START, pause: float = 0.1
    ) -> None:
        """Wait for something; a service that ended meanwhile is a failure, and its log is shown."""
        until = time.monotonic() + seconds
        while not holds():
            for service in self.services.values():
                for process in service.processes:
                    assert process.poll() in (None, 0), f"{service.name}: {service.log.read_text()[-4000:]}"
            assert time.monotonic() < until, f"{what}: not within {seconds} s\n{self.logs()}"
            time.sleep(pause)

    def logs(self) -> str:
        """The end of each service's log."""
        found = [each for each in self.services.values() if each.log.exists()]
        return "\n".join(f"== {each.name}\n{each.log.read_text(errors='replace')[-3000:]}" for each in found)


def _filled_in(text: str) -> dict[str, str]:
    """deploy/hosts.env.example as somebody fills it in: one password of the database, one of each other thing."""
    lines = [line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#")]
    database = secrets.token_hex(8)
    of = {"ZENTRA_DATABASE_URL": database, "DAGSTER_PG_PASSWORD": database}
    return {name: value.replace("CHANGE-ME", of.get(name) or secrets.token_hex(8)) for name, value in lines}


@contextmanager
def _postgres(service: Service) -> Iterator[None]:
    """The image's server: its user with a password, its database, and the scripts mounted for its first start."""
    said = service.environment
    user, database = said["POSTGRES_USER"], said["POSTGRES_DB"]
    settings = {"listen_addresses": service.address, "max_connections": "100"}
    access = "local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n"
    with postgres.running_server(user=user, settings=settings, access=access) as server:
        postgres.administer(
            server.url,
            f"ALTER ROLE {user} PASSWORD '{said['POSTGRES_PASSWORD']}'",
            f'CREATE DATABASE "{database}"',
            *(
                file.read_text(encoding="utf-8")
                for file in sorted((service.root / "docker-entrypoint-initdb.d").glob("*.sql"))
            ),
        )
        said |= {"PGHOST": service.address}  # within its container it is at its own address
        yield


def connected(variables: Mapping[str, str], address: str) -> psycopg.Connection[Any]:
    """A connection to Dagster's database, by the variables of hosts.env."""
    return psycopg.connect(
        host=address,
        dbname=variables["DAGSTER_PG_DB"],
        user=variables["DAGSTER_PG_USERNAME"],
        password=variables["DAGSTER_PG_PASSWORD"],
        autocommit=True,
    )


@contextmanager
def composed(folder: Path) -> Iterator[Composed]:
    """The services of deploy/compose.yaml for as long as the block; none runs yet."""
    with ExitStack() as ending:
        yield Composed(folder, ending)
