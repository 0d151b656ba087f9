"""Public data files, each pinned by its SHA-256: from a local mirror, the hub's cache, or where they were published."""

from __future__ import annotations

import difflib
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import httpx
from filelock import FileLock
from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache

from fireact.errors import DataError
from fireact.ranges import NoEffect
from fireact.trajectories.storage.archives import copy, unpacked
from fireact.trajectories.storage.deadlines import of_download, within
from fireact.trajectories.storage.digests import digest
from fireact.trajectories.storage.registry import REGISTRY, PublicFile
from fireact.trajectories.storage.transfer import transfer

MIRROR = "FIREACT_DATA"


@dataclass(frozen=True, slots=True)
class Need:
    """A public file that a run will read.

    Attributes:
        name: as ``fetch`` takes it; of an archive, where its members are wanted and not there yet.
        path: where it lies on this machine; None if it has to be downloaded first.
        size: of the download in bytes, where known.
        source: the address that it comes from; None where only a mirror has it, so that it can't be had here.
    """

    name: str
    path: Path | None
    size: int | None
    source: str | None


_dry: ContextVar[bool] = ContextVar("dry", default=False)


class WouldFetch(DataError):
    """Raised instead of downloads in a ``dry`` block; ``needs`` are the files that would be fetched."""

    def __init__(self, needs: Sequence[Need]) -> None:
        super().__init__("; ".join(
            f"{need.name} is to be fetched from {need.source}" + (f", {need.size:,} bytes" if need.size else "")
            for need in needs
        ))
        self.needs = tuple(needs)


@contextmanager
def dry() -> Iterator[None]:
    """Within this block nothing is fetched: a file that is not here yet is a ``WouldFetch``."""
    token = _dry.set(True)
    try:
        yield
    finally:
        _dry.reset(token)


def together(files: Iterable[Callable[[], Path]]) -> list[Path]:
    """What each of ``files`` gives, in order; in a ``dry`` block one ``WouldFetch`` names all that are not here yet."""
    found: list[Path] = []
    needs: dict[str, Need] = {}
    for file in files:
        try:
            found.append(file())
        except WouldFetch as fetch:
            needs |= {need.name: need for need in fetch.needs}
    if needs:
        raise WouldFetch([*needs.values()])
    return found


def names(head: str) -> list[str]:
    """The names of all files known here that begin with ``head``."""
    return [name for name in REGISTRY if name.startswith(head)]


def fetch(name: str, cache_dir: NoEffect[str | Path] = ".cache/data") -> Path:
    """A checked local copy of the public file ``name``, a path of the mirror's layout.

    It is used where it lies: below the mirror, below ``cache_dir``, or in the hub's own cache. What lies nowhere is
    downloaded once; the hub's settings (``HF_HOME``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, its token) hold here too.

    Raises:
        DataError: the name is unknown, the file can't be had, or its content is not what its authors published.
    """
    file, mirror, known = Path(cache_dir, name), _mirrored(name), known_file(name)
    if mirror is not None:
        return check(name, mirror, "copy it afresh", cache_dir)
    if known.sha256 is not None and _is(file, known, cache_dir):
        return file
    if _dry.get() and (wanted := need(name, cache_dir)).path is None and wanted.source:
        raise WouldFetch([wanted])
    if known.hub:
        return check(name, _from_hub(name, known, file), "remove it to download it again", cache_dir)
    if known.archive:
        return _from_archive(name, known, Path(cache_dir))
    return _from_network(name, known, file)


def check(name: str, file: Path, remedy: str = "download it again", cache_dir: str | Path | None = None) -> Path:
    """``file``, which is to be the public file ``name``; that it is may be remembered below ``cache_dir``.

    Raises:
        DataError: it has another size or SHA-256.
    """
    known = check_size(name, file, remedy)
    if known.sha256 is not None and digest(file, cache_dir) != known.sha256:
        raise DataError(f"{file} is not the published file (its SHA-256 is not {known.sha256}); {remedy}")
    return file


def check_size(name: str, file: Path, remedy: str = "download it again") -> PublicFile:
    """What is known of the public file ``name``; ``file``, which is to be it, has its size.

    Raises:
        DataError: it has another size.
    """
    known, size = known_file(name), file.stat().st_size
    if known.size not in (None, size):
        raise DataError(f"{file} is not the published file (it has {size:,} bytes, not {known.size:,}); {remedy}")
    return known


def need(name: str, cache_dir: str | Path = ".cache/data") -> Need:
    """What ``fetch`` would use or download; looks for files and reads none, so that it takes no time.

    Raises:
        DataError: the name is unknown, or the mirror is no folder.
    """
    known = known_file(name)
    found = _mirrored(name) or _there(name, known, cache_dir)
    if found is None and known.archive:
        return need(known.archive[0], cache_dir)
    return Need(name, found, known.size, _address(known))


def known_file(name: str) -> PublicFile:
    """What is known of the public file ``name``.

    Raises:
        DataError: there is none of that name.
    """
    if name not in REGISTRY:
        close = difflib.get_close_matches(name, names(""), n=3, cutoff=0)
        raise DataError(f"{name!r} is not a public file known here; the nearest are {', '.join(close)}")
    return REGISTRY[name]


def _mirrored(name: str) -> Path | None:
    """The mirror's file, if there is a mirror and it has one."""
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return None
    if not Path(mirror).is_dir():
        raise DataError(f"{MIRROR}={mirror} is not a folder; name the folder of your copies, or unset it to download")
    file = Path(mirror, name)
    return file if file.is_file() else None


def _there(name: str, known: PublicFile, cache_dir: str | Path) -> Path | None:
    """Where the file lies without a mirror, by its name and size alone."""
    places = [Path(cache_dir, name)]
    if known.hub:
        repository, revision, path = known.hub
        in_cache = try_to_load_from_cache(repository, path, revision=revision, repo_type="dataset")
        places += [Path(in_cache)] if isinstance(in_cache, str) else []
    right = (place for place in places if place.is_file() and known.size in (None, place.stat().st_size))
    return next(right, None)


def _address(known: PublicFile) -> str | None:
    if known.hub:
        repository, revision, path = known.hub
        return str(hf_hub_url(repository, path, repo_type="dataset", revision=revision))
    return known.url


def _is(file: Path, known: PublicFile, cache_dir: str | Path | None = None) -> bool:
    if not file.is_file() or known.size not in (None, file.stat().st_size):
        return False
    return known.sha256 is None or digest(file, cache_dir) == known.sha256


def _from_hub(name: str, known: PublicFile, file: Path) -> Path:
    assert known.hub
    repository, revision, path = known.hub

    def download() -> str:
        return str(hf_hub_download(repository, path, repo_type="dataset", revision=revision))

    try:
        return Path(within(of_download(known.size), download))
    except Exception as error:  # which HTTP client the hub's library uses, and so what it raises, is its own affair
        raise _unreachable(name, known, file, error.__cause__ or error) from None


def _from_archive(name: str, known: PublicFile, cache: Path) -> Path:
    """Unpack all members at once where this one is not there yet, or a kill left it half written."""
    assert known.archive
    archive, _ = known.archive
    members = {other.archive: own for own, other in REGISTRY.items()}
    source = fetch(archive, cache)
    try:
        for member, content in unpacked(source):
            if own := members.get((archive, member)):
                copy(content, cache / own)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        why = type(error).__name__
        raise DataError(f"{source} can't be unpacked ({why}); remove it to download it again") from None
    if not _is(cache / name, known):
        raise DataError(f"{source} does not hold the published {name}; remove it to download it again, or put the file "
                        f"at {cache / name}")
    return cache / name


def _from_network(name: str, known: PublicFile, file: Path) -> Path:
    if known.url is None:
        raise DataError(f"{name} comes only with a local mirror; set {MIRROR} to the folder that holds it")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock")):  # cells of a grid may want it at once
            if not _is(file, known):
                part = transfer(known.url, file, known.size)
                if known.sha256 is not None and digest(part) != known.sha256:
                    part.unlink()
                    raise DataError(f"{known.url} did not give the published file (its SHA-256 is not {known.sha256}); "
                                    f"try again later, or put it at {file}")
                part.replace(file)
    except (OSError, httpx.HTTPError) as error:
        raise _unreachable(name, known, file, error) from None
    return file


def _unreachable(name: str, known: PublicFile, file: Path, error: BaseException) -> DataError:
    wrong = f"{file} is not the published file (its SHA-256 is not {known.sha256}), and " if file.is_file() else ""
    return DataError(f"{wrong}{name} can't be downloaded from {_address(known)} ({type(error).__name__}); put it at "
                     f"{file}, or set {MIRROR} to a folder that holds it")
