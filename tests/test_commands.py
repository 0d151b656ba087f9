"""Every ``python -m fireact.…`` command: whether somebody reads on or presses Ctrl-C, it leaves no trace."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fireact.commands import end_with
from tests.conftest import ROOT

COMMANDS = sorted(
    path for path in (ROOT / "fireact").rglob("*.py") if 'if __name__ == "__main__":' in path.read_text("utf-8")
)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_every_command_ends_in_the_same_way(path: Path) -> None:
    assert re.search(r'\nif __name__ == "__main__":.*\n    end_with\(', path.read_text("utf-8"))


def _piped(body: str) -> subprocess.CompletedProcess[bytes]:
    """What a command of that body does whose reader has gone."""
    code = f"import sys\nfrom fireact.commands import end_with\ndef main():\n    {body}\nend_with(main)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    return subprocess.CompletedProcess([], process.wait(), b"", process.stderr.read())


@pytest.mark.parametrize("body", ["print('a' * 100000)", "print('a')", "print('a', flush=True)"])
def test_a_command_that_nobody_reads_on_ends_without_a_word(body: str) -> None:
    done = _piped(body)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    with pytest.raises(SystemExit) as stop:
        end_with(main)
    assert (stop.value.code, capsys.readouterr().err) == (130, "Interrupted\n")


@pytest.mark.parametrize("code", [None, 0, 1, 2])
def test_a_command_exits_with_what_it_returns(code: int | None) -> None:
    with pytest.raises(SystemExit) as stop:
        end_with(lambda: code)
    assert stop.value.code == (code or 0)
