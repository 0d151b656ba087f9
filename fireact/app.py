"""The one module that touches Hydra: composes configurations, names run folders, and says in one sentence what a
user did wrong.

It imports nothing heavy, so ``--help`` and every mistake in a command or a configuration file answer at once.
"""

from __future__ import annotations

import difflib
import errno
import functools
import hashlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from fireact.errors import ConfigError, FireActError

CONF = Path(__file__).resolve().parent.parent / "conf"
Config = DictConfig
Script = Callable[[Config], float | None]
build = hydra.utils.instantiate  # an object from a node with a _target_
# Overrides that choose a place, not an experiment: the folder's name leaves them out.
_UNNAMED = {"cache_dir", "runs_dir", "run_dir", "experiment"}
_LONGEST_NAME = 160
# Hydra's parser takes overrides on one side of a flag only, so these go first, wherever they were typed.
_SWEEP = ("-m", "--multirun")
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST}


def main(config_name: str) -> Callable[[Script], Callable[[], None]]:
    """Turn ``def script(cfg)`` into a command composed from ``conf/<config_name>.yaml``.

    A user's mistake ends it with one sentence on stderr and exit code 1, Ctrl-C with 130; in a sweep the other cells
    still run. A bug of ours keeps its stack trace.
    """

    def decorate(script: Script) -> Callable[[], None]:
        @functools.wraps(script)
        def command() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
            _register_resolvers()
            sys.argv[1:] = sorted(sys.argv[1:], key=lambda arg: arg not in _SWEEP)
            cells = _Cells(script)
            with cells.interruptible(), cells.reported():
                check_experiment(config_name, [arg for arg in sys.argv[1:] if re.match(r"[+\w][^=]*=", arg)])
                hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(cells.run)()
            sys.exit(cells.summary())

        return command

    return decorate


def compose(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration another script would see, ``run_dir`` included; works inside a running script too.

    Raises:
        ConfigError: an override names what does not exist.
    """
    _register_resolvers()
    try:
        with _hydra_ready():
            cfg = hydra.compose(config_name, list(overrides), return_hydra_config=True)
            return _finished(cfg, cfg.hydra, cfg.hydra.run.dir)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error


def resolved(cfg: Config) -> dict[str, Any]:
    """``cfg`` as plain dictionaries, lists and scalars, every interpolation filled in."""
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    return plain


def check_experiment(config_name: str, overrides: Sequence[str]) -> None:
    """Refuse what Hydra merges in silence: two experiments at once, and keys that an experiment file misspells.

    Raises:
        ConfigError: naming the experiment file, the key and the closest one that exists.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    chosen = [override for override in parsed if override.key_or_group == "experiment"]
    if not chosen or chosen[-1].value() is None:
        return
    if chosen[-1].is_sweep_override():
        raise ConfigError(f"{chosen[-1].input_line} would lose both grids; run one experiment at a time")
    name = chosen[-1].value()
    others = [str(other.input_line) for other in parsed if other not in chosen and not other.is_sweep_override()]
    with _hydra_ready():
        used = hydra.compose(config_name, [*others, f"experiment={name}"], return_hydra_config=True)
        with open_dict(used):
            choices = used.pop("hydra").runtime.choices
        same = [f"{group}={'null' if option is None else option}" for group, option in choices.items() if _ours(group)]
        plain = hydra.compose(config_name, [*others, *same])
    known = set(_keys(plain))
    for key in _keys(used):
        if key not in known:
            raise ConfigError(f"conf/experiment/{name}.yaml sets {key}, which{_no_option(key, known)}")


@functools.singledispatch
def explain(error: BaseException) -> str | None:
    """The sentence for a mistake of the user's; None for a bug of ours."""
    return None


@explain.register
def _(error: FireActError) -> str:
    return str(error)


@explain.register
def _(error: OSError) -> str | None:
    if error.errno not in _NOT_OURS:
        return None
    place = error.filename or "the run folder"
    return f"cannot use {place} ({error.strerror}); free or mend that place, or choose another with runs_dir=DIR"


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
    return f"{group}={option} does not exist; choose one of {', '.join(error.options)}"


@explain.register
def _(error: HydraException) -> str | None:
    if override := re.match(r"Ambiguous value for argument '(.*)'", str(error)):
        return f"{override[1]} names several values; add -m to run each, or write key=[a,b] for one list"
    if isinstance(error.__cause__, OmegaConfBaseException | FireActError):
        return explain(error.__cause__)
    if key := re.match(r"Could not override '(.*?)'", str(error)):
        return f"{key[1]}{_no_option(key[1], _groups())}"
    return _one_line(error)


@explain.register
def _(error: OmegaConfBaseException) -> str:
    if isinstance(error.__cause__, FireActError):
        return str(error.__cause__)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value; add {error.full_key}=VALUE to the command"
    if isinstance(error, AttributeError | KeyError) and error.parent_node is not None:
        key, root = str(error.full_key), error.parent_node._get_root()
        return f"{key}{_no_option(key, [*_keys(root), *_groups()])}"
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


class _Cells:
    """Runs the cells of one command and keeps count of those that failed."""

    def __init__(self, script: Script) -> None:
        self.script, self.ran, self.failed = script, 0, 0
        self.folder = "the run folder"

    @property
    def run(self) -> Script:
        """What Hydra calls once a cell; it looks like the script, for Hydra names the job after its module."""

        @functools.wraps(self.script)
        def run(cfg: DictConfig) -> float | None:
            self.ran += 1
            context = HydraConfig.get()
            self.folder = _finished(cfg, context, context.runtime.output_dir).run_dir
            with self.reported():
                return self.script(cfg)
            return None

        return run

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Say a user's mistake in one sentence and go on; let bugs through."""
        try:
            yield
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                raise
            self.failed += 1
            print(sentence, file=sys.stderr)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Answer Ctrl-C with where the work is."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as stop:
            # Lightning answers Ctrl-C with sys.exit.
            if not isinstance(stop, KeyboardInterrupt) and not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            kept = f"what was finished is kept in {self.folder}"
            print(f"Interrupted; {kept}; run the same command to resume", file=sys.stderr)
            sys.exit(130)

    def summary(self) -> int:
        """The exit code, after a last word where a sweep lost some of its cells."""
        if self.failed and self.ran > 1:
            print(f"{self.failed} of {self.ran} cells failed; run the same command to try them again", file=sys.stderr)
        return int(self.failed > 0)


def cell(script: str, *axes: str, _root_: DictConfig) -> str:
    """The run folder below ``runs_dir``: script, experiment, then the axes' values and every other override.

    >>> python train.py seed=1 optim.lr=1e-4
    train/smollm2_135m-qlora-react-miniwiki-all-seed1-optim.lr@1e-4
    """
    choices = _root_.hydra.runtime.choices
    lines: Any = OmegaConf.to_container(_root_.hydra.overrides.task, resolve=False)
    overrides = dict(line.split("=", 1) if "=" in line else (line, "") for line in lines)
    # A group of which several options are selected at once is missing from the choices.
    values = [choices.get(axis) or f"{axis}{overrides.get(axis, _root_[axis])}" for axis in axes]
    named = {*axes, *_UNNAMED}
    others = [f"-{key}@{value}" for key, value in sorted(overrides.items()) if key.lstrip("+") not in named]
    name = _file_name("-".join(values), "".join(others))
    return "/".join(filter(None, [script, choices.get("experiment"), name]))


def prompt(method: str, *, _root_: DictConfig) -> str | None:
    """The few-shot prompt of a method for the composed task, below ``fireact/methods/prompts``; None without a task."""
    task = OmegaConf.select(_root_, "task")
    return None if task is None else f"{task.get('prompts') or task.name}/{method}.txt"


def _register_resolvers() -> None:
    OmegaConf.register_new_resolver("cell", cell, replace=True)
    OmegaConf.register_new_resolver("prompt", prompt, replace=True)


@contextmanager
def _hydra_ready() -> Iterator[None]:
    """Use the Hydra of the running script, or one for this block only."""
    if GlobalHydra.instance().is_initialized():
        yield
    else:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            yield


def _finished(cfg: DictConfig, context: Any, folder: str) -> DictConfig:
    """``cfg`` with ``run_dir`` and ``experiment`` filled in from Hydra's own part, which goes."""
    experiment = context.runtime.choices.get("experiment")
    with open_dict(cfg):
        cfg.pop("hydra", None)
    cfg.run_dir, cfg.experiment = os.path.relpath(folder), experiment
    return cfg


def _file_name(axes: str, extras: str) -> str:
    """A name safe as a file and, unquoted, as a value in an override; hashed where making it so lost something."""
    safe = re.sub(r"[^\w.@+-]+", "_", axes + extras)
    if safe == axes + extras and len(safe) <= _LONGEST_NAME:
        return safe
    digest = hashlib.sha256((axes + extras).encode()).hexdigest()[:8]
    return f"{safe[:_LONGEST_NAME]}-{digest}"


def _keys(cfg: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a configuration, whatever its value."""
    for key in cfg:
        yield f"{prefix}{key}"
        if not OmegaConf.is_missing(cfg, key) and OmegaConf.is_dict(node := cfg._get_node(key)) and not node._is_none():
            yield from _keys(node, f"{prefix}{key}.")


def _groups() -> list[str]:
    return sorted(folder.name for folder in CONF.iterdir() if folder.is_dir())


def _ours(group: str) -> bool:
    return group != "experiment" and not group.startswith("hydra/")


def _no_option(key: str, known: Iterable[str]) -> str:
    known = sorted({*known} - {key})
    close = [other for other in known if other.endswith(f".{key}")] or difflib.get_close_matches(key, known, n=1)
    return f" is no option; did you mean {close[0]}?" if close else " is no option; --help shows them all"


def _refused_arguments(error: BaseException) -> bool:
    """Whether a call failed at its signature, before any of the target's own code ran."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, TypeError) and bool(frames) and frames[-1].name == "_call_target"


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0].strip().rstrip(".").replace(". ", "; ") if str(error) else type(error).__name__
