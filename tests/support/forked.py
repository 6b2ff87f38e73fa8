"""A process that imports once and forks a child for each fault, so that a kill costs what the step costs and no more.

Does not belong here: what the children do, and what holds after one of them died.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What a program may call: counts what a child does to files below `root`, and stops it at the n-th (0 only counts).
# `how` is "kill", "alarm" (dead after `stop_at` milliseconds, wherever it is then) or the name of what the disk says.
_BEFORE = """
import errno, json, os, signal, sys, traceback

def counted(root, how, stop_at):
    seen = 0

    def stop_at_the_nth_step(event, arguments):
        nonlocal seen
        if event in WATCHED and root in str(arguments):
            seen += 1
            if seen == stop_at:
                if how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise OSError(getattr(errno, how), os.strerror(getattr(errno, how)))

    if how == "alarm":
        signal.setitimer(signal.ITIMER_REAL, stop_at / 1000)  # nobody handles it: it ends the process on the spot
    else:
        sys.addaudithook(stop_at_the_nth_step)
    return lambda: str(seen)
"""
_AFTER = """
for line in sys.stdin:
    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        code, said = 1, ""
        try:
            code, said = 0, take(*json.loads(line))
        except BaseException:
            said = traceback.format_exc()
        os.write(theirs, said.encode())
        os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        said = answer.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said]), flush=True)
"""


class Forking:
    """Takes steps in children of a process; each returns its exit code, and its answer or what went wrong."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def take(self, *arguments: Any) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(arguments), file=self._process.stdin, flush=True)
        code, said = json.loads(self._process.stdout.readline())
        return code, said


@contextmanager
def forking(program: str) -> Iterator[Forking]:
    """A process for `program`, which names the audit events it counts in WATCHED, imports all that it needs, opens
    nothing, and defines `take(*arguments) -> str`; it may call `counted`.
    """
    whole = _BEFORE + program + _AFTER
    with subprocess.Popen(
        [sys.executable, "-c", whole], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Forking(process)
        process.communicate()
