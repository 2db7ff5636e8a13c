"""Start the dashboard: choose a port, then become Streamlit's server on ``app.py``.

The server makes its own token (``ui/shell/access.py``): no secret passes through arguments or is kept in a
file.
"""

import argparse
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

from core.cli.arguments import whole_number
from core.cli.waiting import take_up_waiting
from core.errors import InvalidOption, reason_of
from core.wording import say, spoken_language
from core.workspace.paths import PROJECT, RunPaths, Workspace
from core.workspace.user import stand_in, user_name

PORT = 8501
PORTS_TRIED = 100
OPTIONS = ("--port", "--address", "--no-browser", "--password", "--no-token", "--base-url-path", "--proxy")
# How the server is told what its command line says. A password is asked for, or found in the environment.
ACCESS_VARIABLE, PASSWORD_VARIABLE, BROWSER_VARIABLE, PROXY_VARIABLE = (
    "TUNEBOARD_ACCESS",
    "TUNEBOARD_PASSWORD",
    "TUNEBOARD_BROWSER",
    "TUNEBOARD_PROXY",
)


@dataclass(frozen=True)
class Serving:
    """Where and for whom the dashboard is served. ``access`` is ``token``, ``password`` or ``none``;
    ``proxy`` the address of a reverse proxy whose word for its clients' addresses is taken."""

    port: int = PORT
    address: str = "127.0.0.1"
    access: str = "token"
    browser: bool = True
    base_url_path: str = ""
    proxy: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the dashboard, which is what runs when no command is given."""
    group = parser.add_argument_group(say("serve.options"))
    group.add_argument(
        "--port", type=whole_number(1, 65535), default=PORT, metavar="N", help=say("serve.port")
    )
    group.add_argument("--address", default="127.0.0.1", metavar="IP", help=say("serve.address"))
    group.add_argument("--no-browser", action="store_true", help=say("serve.no_browser"))
    group.add_argument("--password", action="store_true", help=say("serve.password"))
    group.add_argument("--no-token", action="store_true", help=say("serve.no_token"))
    group.add_argument("--base-url-path", default="", metavar="PATH", help=say("serve.base_url_path"))
    group.add_argument("--proxy", default="", metavar="IP", help=say("serve.proxy"))


def only_serving(arguments: Sequence[str]) -> argparse.Namespace | None:
    """The dashboard's options where ``arguments`` are these alone, and right; None for anything else, which
    the whole parser (core.cli.parser) reads or refuses."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--workspace")
    add_options(parser)
    try:
        options, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return None
    return None if {*others} - {"--"} else options


def serving(options: argparse.Namespace) -> Serving:
    """What the options ask for. Raises InvalidOption."""
    if options.password and options.no_token:
        raise InvalidOption(message=say("serve.password_or_not"), help="scripts/run --help")
    access = "password" if options.password else "none" if options.no_token else "token"
    if options.proxy and not _is_address(options.proxy):
        raise InvalidOption(message=say("serve.no_proxy", proxy=options.proxy), help="scripts/run --help")
    return Serving(
        options.port, options.address, access, not options.no_browser, options.base_url_path, options.proxy
    )


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def serve(wanted: Serving, workspace: Workspace) -> NoReturn:
    """Become the server. Raises NotWritable, InvalidOption when no port is free."""
    workspace.prepare()
    port = free_port(wanted.address, wanted.port)
    if port != wanted.port:
        print(say("serve.port_taken", port=wanted.port, free=port), file=sys.stderr, flush=True)
    # Streamlit also reads a .streamlit/config.toml in the working folder: only the project's own counts.
    os.chdir(PROJECT)
    _take_up(workspace)
    _resume_lost(workspace)
    os.execve(sys.executable, command(wanted, port), environment(wanted, workspace))  # nosec B606  # a list, no shell


def _take_up(workspace: Workspace) -> None:
    """Jobs that waited for a device when the machine went down keep their place."""
    for folder in take_up_waiting(workspace):
        print(say("serve.waits_again", run=folder.parent.name), file=sys.stderr, flush=True)


def _resume_lost(workspace: Workspace) -> None:
    """Sweeps, and runs that were to go on by themselves after a crash. Where there is none nothing is
    imported for it: the dashboard's start does not wait."""
    from core.jobs.job import JobPaths

    if any(_may_be_lost(place.job) for place in workspace.sweep_folders()):
        from core.sweep import job

        for place in job.resume_lost(workspace, spoken_language()):  # its trials go on with it
            print(say("serve.resumes", run=place.id), file=sys.stderr, flush=True)
    requests = (JobPaths(RunPaths(folder).job("chain")).request for folder in workspace.run_folders())
    if not any(map(_asks_to_resume, requests)):
        return
    from core.pipeline import chain

    for run in chain.resume_lost(workspace, user_name(), spoken_language()):
        print(say("serve.resumes", run=run.id), file=sys.stderr, flush=True)


def _may_be_lost(folder: Path) -> bool:
    """Whether a job ended in another way than well, or by whoever asked it to stop."""
    from core.jobs.job import JobPaths
    from core.jobs.status import State, state_of

    with suppress(OSError):
        return not JobPaths(folder).stop.exists() and state_of(folder) in {State.lost, State.stopped}
    return False


def _asks_to_resume(request: Path) -> bool:
    """Of a folder that nobody may read: no; no run keeps the dashboard from starting."""
    from core.workspace.files import read_record

    with suppress(OSError):
        asked = (read_record(request) or {}).get("asked")
        return isinstance(asked, dict) and bool(asked.get("auto_resume"))
    return False


def command(wanted: Serving, port: int) -> list[str]:
    """Streamlit's command line. What access depends on is said here, above any other configuration."""
    settings = {
        "server.port": port,
        "server.address": wanted.address,
        "server.baseUrlPath": wanted.base_url_path.strip("/"),
        "server.headless": "true",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "streamlit", "run", str(PROJECT / "app.py"), *options]


def environment(wanted: Serving, workspace: Workspace) -> Mapping[str, str]:
    """The server's environment; PYTHONPATH makes its children find this project from any folder."""
    added = {"TUNEBOARD_HOME": str(workspace.root), ACCESS_VARIABLE: wanted.access}
    if wanted.browser:
        added[BROWSER_VARIABLE] = "1"
    if wanted.proxy:
        added[PROXY_VARIABLE] = wanted.proxy
    return {**stand_in(), **os.environ, **added}


def free_port(address: str, first: int) -> int:
    """The first port from ``first`` on that can be bound. Raises InvalidOption."""
    reason = ""
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
                return port
        except OSError as error:
            reason = reason_of(error)
    raise InvalidOption(
        message=say("serve.no_port", address=address, port=first, reason=reason), help="--port"
    )
