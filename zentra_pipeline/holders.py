"""Who holds something, by host and process, and whether that process is known to have ended.

Only a process of this host, seen in the same namespace of process numbers, can be said to have ended; of any other one
nobody here can tell. What is held does not belong here.
"""

import hashlib
import os
import secrets
import socket
from functools import cache
from pathlib import Path
from typing import Final

_STARTED: Final = 19  # of the fields behind the command's name in /proc/<pid>/stat, proc(5)
_ENDED: Final = ("Z", "X")


def this_process() -> str:
    """A new name for something that this process holds: `host boot/namespace pid start word`, no two alike."""
    return " ".join([_host(), _machine(), str(os.getpid()), _started(os.getpid()) or "?", secrets.token_hex(4)])


def file_suffix() -> str:
    """What tells temporary names of this process from those of any other, on any host; letters, digits and hyphens."""
    return f"{''.join(each if each.isalnum() else '-' for each in _host())[:40]}-{os.getpid()}"


def file_name() -> str:
    """A new name for a folder or file that is this process's own while it runs; see is_left_behind."""
    return "-".join([_machine_digest(), str(os.getpid()), _started(os.getpid()) or "?", secrets.token_hex(4)])


def is_left_behind(name: str) -> bool:
    """Whether the process behind such a name has ended for certain."""
    words = name.split("-")
    if len(words) != 4 or words[0] != _machine_digest() or not words[1].isdecimal():
        return False
    return _started(int(words[1])) != words[2]


def is_known_ended(holder: str) -> bool:
    """Whether the process behind a name has ended for certain: it was of this machine, and is there no more."""
    words = holder.split(" ")
    if len(words) != 5 or words[1] != _machine() or not words[2].isdecimal():
        return False
    return _started(int(words[2])) != words[3]


def shown(holder: str) -> str:
    """A holder in messages: its process and host."""
    words = holder.split(" ")
    return f"process {words[2]} on {words[0]}" if len(words) == 5 else "another process"


@cache
def _host() -> str:
    return "".join(socket.gethostname().split()) or "host"


@cache
def _machine() -> str:
    """This boot of this machine, and the namespace in which its process numbers mean something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return secrets.token_hex(16)  # nothing is known of other processes here


@cache
def _machine_digest() -> str:
    return hashlib.sha256(_machine().encode()).hexdigest()[:16]


def _started(pid: int) -> str | None:
    """When a process started, in ticks since the boot; null when there is none, or it has ended and is only listed."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in _ENDED else fields[_STARTED]
