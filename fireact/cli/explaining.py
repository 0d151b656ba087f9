"""What a user did wrong, in one sentence that says how to fix it."""

from __future__ import annotations

import errno
import functools
import os
import re
import traceback

import yaml
from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from fireact.cli.keys import BASE, groups, keys, no_option
from fireact.cli.launchers import explain_launcher
from fireact.errors import FireActError

# What a file system, a disk or a limit of the machine refuses; any other is a bug of ours.
_NOT_OURS = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.ENOENT,
    errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.ESTALE, errno.EBUSY, errno.EFBIG, errno.ENOTEMPTY,
    errno.ENOLCK, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT, errno.EXDEV, errno.ENXIO, errno.EREMOTEIO,
}  # fmt: skip


@functools.singledispatch
def explain(error: BaseException) -> str | None:
    """The sentence for a mistake of the user's; None for a bug of ours."""
    if type(error).__name__ == "MisconfigurationException":  # of Lightning, which is not imported to ask for its name
        return f"trainer can't be used here ({_one_line(error)}); choose another, such as trainer=cpu"
    return None


@explain.register
def _(error: FireActError) -> str:
    return str(error)


@explain.register
def _(error: OSError) -> str | None:
    if error.errno not in _NOT_OURS:
        return None
    place = error.filename or "the run folder"
    if os.path.islink(place) and not os.path.exists(place):
        return f"{place} is a link to a run that is gone; remove the link and run the same command again"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open to use {place}; raise the limit (ulimit -n 4096) and run the command again"
    return f"cannot use {place} ({error.strerror}); free or fix that place, or choose another with runs_dir=DIR"


@explain.register
def _(error: BrokenPipeError) -> str:
    return "stopped, since nobody reads any more what is printed; run the same command to resume"


@explain.register(RuntimeError)
@explain.register(ImportError)
def _(error: Exception) -> str | None:
    return explain_launcher(error)


@explain.register
def _(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    place = f"{mark.name}, line {mark.line + 1}" if mark else "a configuration file"
    return f"{place}: {error.problem}; expected YAML"


@explain.register
def _(error: OverrideParseException) -> str:
    return f"cannot read {error.override!r}; write key=value, with quotes round a value that holds special characters"


@explain.register
def _(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not error.options:
        return _one_line(error)
    options = ", ".join(name for name in error.options if name != BASE)
    return f"{group}={option} does not exist; choose one of {options}"


@explain.register
def _(error: HydraException) -> str | None:
    if override := re.match(r"Ambiguous value for argument '(.*)'", str(error)):
        return f"{override[1]} names several values; add -m to run each, or write key=[a,b] for one list"
    if isinstance(error.__cause__, OmegaConfBaseException | FireActError):
        return explain(error.__cause__)
    if key := re.match(r"Could not override '(.*?)'", str(error)):
        return f"{key[1]}{no_option(key[1], groups())}"
    return _one_line(error)


@explain.register
def _(error: OmegaConfBaseException) -> str:
    if isinstance(error.__cause__, FireActError):
        return str(error.__cause__)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value; add {error.full_key}=VALUE to the command"
    if isinstance(error, AttributeError | KeyError) and error.parent_node is not None:
        key, root = str(error.full_key), error.parent_node._get_root()
        return f"{key}{no_option(key, [*keys(root), *groups()])}"
    return f"{error.full_key}: {_one_line(error)}" if error.full_key else _one_line(error)


@explain.register
def _(error: InstantiationException) -> str | None:
    """Unwrap what a ``_target_`` raised: a class of ours may have bugs, somebody else's was given wrong arguments."""
    cause: BaseException = error
    while isinstance(cause, InstantiationException | ImportError) and cause.__cause__ is not None:
        error, cause = (cause if isinstance(cause, InstantiationException) else error), cause.__cause__
    target, key = re.search(r"target '(.*?)'", str(error)), re.search(r"full_key: (\S+)", str(error))
    name, place = target[1] if target else "its class", key[1] if key else "the configuration"
    if isinstance(cause, FireActError):
        return str(cause)
    if isinstance(cause, ImportError):
        return f"{place} needs {name}, which cannot be imported ({_one_line(cause)})"
    if option := re.search(r"unexpected keyword argument '(.*?)'", str(cause)):
        return f"{place}.{option[1]} is no option of {name}"
    if name.startswith("fireact.") and not _refused_arguments(cause):
        return explain(cause)
    return f"{place} does not suit {name} ({_one_line(cause)})"


def _refused_arguments(error: BaseException) -> bool:
    """Whether a call failed at its signature, before any of the target's own code ran."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, TypeError) and bool(frames) and frames[-1].name == "_call_target"


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0].strip().rstrip(".").replace(". ", "; ") if str(error) else type(error).__name__
