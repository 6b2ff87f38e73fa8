"""Whether what carries the name of a process was left behind by it."""

import subprocess
import sys

from zentra_pipeline import holders


def name_of(code: str) -> str:
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return said.stdout.strip()


def test_what_a_process_left_is_known_once_it_has_ended() -> None:
    assert holders.is_left_behind(name_of("from zentra_pipeline import holders; print(holders.file_name())"))
    assert not holders.is_left_behind(holders.file_name())


def test_nothing_is_said_of_processes_of_another_machine_and_of_other_names() -> None:
    machine, process, started, word = holders.file_name().split("-")
    assert holders.is_left_behind("-".join([machine, process, f"{started}0", word]))  # another had its number before
    for name in ("-".join(["0" * 16, process, f"{started}0", word]), "lost+found", "a-b-c-d", ""):
        assert not holders.is_left_behind(name)
