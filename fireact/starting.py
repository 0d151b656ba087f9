"""Imported first by the scripts: until their work begins, Ctrl-C ends the process at once, without a trace."""

import signal
import sys
from pathlib import Path

_SCRIPT = getattr(sys.modules["__main__"], "__file__", None)


def ready() -> None:
    """From here on Ctrl-C is answered: by ``KeyboardInterrupt``, as Python does."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# In a process that only imports a script, as a test does, Ctrl-C stays whose it was; a shell's background processes
# ignore it.
_is_ours = _SCRIPT and Path(_SCRIPT).resolve().parent == Path(__file__).resolve().parent.parent
if _is_ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
