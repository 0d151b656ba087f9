"""How every ``python -m fireact.…`` command ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn


def end_with(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its code; without a word where nobody reads on, as in ``| head``, and with a shell's
    own exit code for Ctrl-C."""
    try:
        code = main() or 0
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        code = 0
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)
        code = 128 + signal.SIGINT
    sys.exit(code)
