"""Takes from the running process what it does not need: writing files, other files, other network, endless time.

What the system cannot do is left out (Landlock is Linux 5.13 or newer): it is the second wall, behind read_only_sql.
Does not belong here: what the process does.
"""

import ctypes
import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# https://docs.kernel.org/userspace-api/landlock.html; the numbers are the same on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVILEGES: Final = 38
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_ACCESS_OF_FIRST_VERSION: Final = (1 << 13) - 1
_ADDED_BY_VERSION: Final = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # refer, truncate, ioctl of devices
# Where DuckDB looks for the number of processors and the memory; it does not bear being refused them.
_OF_THE_MACHINE: Final = (
    *("/proc/self/cgroup", "/proc/meminfo", "/proc/stat"),
    *("/sys/fs/cgroup", "/sys/devices/system/cpu"),
)
_NETWORK: Final = 0b11  # bind and connect of TCP, from version 4


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def confine(readable: Iterable[Path], processor_seconds: int, address_space: int) -> bool:
    """Let this process read only what is below `readable` and Python's own files, and write no file.

    To be called before there are other threads. Returns whether the system also keeps it from other files; the limits
    hold everywhere: no file grows by a byte, and the process ends after so many seconds of processor time.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds + 1))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        own = {sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc/localtime", *_OF_THE_MACHINE, *sys.path}
        return _restrict([*readable, *(Path(path) for path in sorted(own) if path)])
    return False


def _restrict(readable: Iterable[Path]) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    access = _ACCESS_OF_FIRST_VERSION
    for added, bit in _ADDED_BY_VERSION.items():
        access |= bit if version >= added else 0
    rules = _Ruleset(access, _NETWORK if version >= 4 else 0, 0)
    size = ctypes.sizeof(rules) if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow_reading(libc, ruleset, path)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there cannot be read either
    try:
        access = _READ_FILE | _READ_DIR | _EXECUTE if path.is_dir() else _READ_FILE
        rule = _PathBeneath(access, descriptor)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)
