"""Public data files, each pinned by its SHA-256: from a local mirror, or from where they were published."""

from __future__ import annotations

import difflib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import pooch

from fireact.errors import DataError

MIRROR = "FIREACT_DATA"
_REPOSITORY = "https://raw.githubusercontent.com/anchen1011/FireAct/94c6189"
_RELEASED_RUN = "hotpotqa_dev_0_500_ft_gpt-3.5-turbo-0613_princeton-nlp__7woQRsdi_0.0_2023-09-21-16-19-51.json"
_MMLU = "mmlu/data.tar"

# name in the mirror: (path in the released repository or whole address, None where only a mirror has the file; SHA-256)
_FILES: dict[str, tuple[str | None, str]] = {
    "fireact/alpaca_format/hotpotqa.json": (
        "data/finetune/alpaca_format/hotpotqa.json",
        "99d425102451935e30a9c4419643003e4065cc2a10f61ad2cca815922a7b65c8",
    ),
    "fireact/alpaca_format/hotpotqa_multimethod.json": (
        "data/finetune/alpaca_format/hotpotqa_multimethod.json",
        "a478eef47c6ee5fd8ef0716cbc07d0e24cbcd27e8b669d3de787267858d32836",
    ),
    "fireact/alpaca_format/multitask.json": (
        "data/finetune/alpaca_format/multitask.json",
        "1a03d1034618ca81bbe8ff216272464f9185b1c2cc0e55c8a26b8aabf61e2839",
    ),
    "fireact/alpaca_format/multitask_multimethod.json": (
        "data/finetune/alpaca_format/multitask_multimethod.json",
        "753a05e4e85b9fed41edc0d8cebc0e2fdf7207777ce34edc320b3fd5ac97795f",
    ),
    "fireact/gpt_format/hotpotqa.jsonl": (
        "data/finetune/gpt_format/hotpotqa.jsonl",
        "f4725dad6170c2f291dac66ab442e7a8de7fd89755faedb346041059ff1b8aed",
    ),
    "fireact/gpt_format/hotpotqa_multimethod.jsonl": (
        "data/finetune/gpt_format/hotpotqa_multimethod.jsonl",
        "2220b96cceb289d722f152c4f3f0681e87b9ff61e7c96742ad9fe17fb87ced14",
    ),
    "fireact/gpt_format/multitask.jsonl": (
        "data/finetune/gpt_format/multitask.jsonl",
        "0c67c4c9a2ed54b1e93600c9768cbbf4825707304a69297cb0a4330acca52286",
    ),
    "fireact/gpt_format/multitask_multimethod.jsonl": (
        "data/finetune/gpt_format/multitask_multimethod.jsonl",
        "1d17110aac595812e0c21ffd8159da9609b776994a8016d3fa57e4190f98934b",
    ),
    f"fireact/trajs/{_RELEASED_RUN}": (
        f"trajs/{_RELEASED_RUN}",
        "17cfd4634c10446cc662827a6014c214705cf0c099db6efe423f6e8027a4ed6e",
    ),
    "hotpotqa/dev.json": (
        "data/hotpotqa/dev.json",
        "05001dcdeb2b2b2243a88f23daaf8de9237494cd387e13bc25854d3e031101d3",
    ),
    "hotpotqa/hotpot_train_v1.1.json": (
        "http://curtis.ml.cmu.edu/datasets/hotpot/hotpot_train_v1.1.json",
        "26650cf50234ef5fb2e664ed70bbecdfd87815e6bffc257e068efea5cf7cd316",
    ),
    "hotpotqa/questions_300.jsonl": (None, "b496a59aaa455d7d33724fb1f94b8ad66649e26d897ea34ee13705473e36f6d5"),
    "hotpotqa/paragraphs.jsonl": (None, "76b6947da346eef628027b07a026b7fae4136e5d2b75097e336b27a48d186965"),
    "bamboogle/test.csv": (
        "data/bamboogle/test.csv",
        "b55aae3490787efac7e17cd2be4a79f2359885ad346b3bbc0cc335b02ed44cc4",
    ),
    "strategyqa/strategyqa_dev.json": (
        "data/strategyqa/strategyqa_dev.json",
        "0d94842ffb022db8fd5ecd2168b785d5cf67f6faf64f665476bad544a3eb9dde",
    ),
    "strategyqa/strategyqa_train_filtered.json": (
        None,
        "5c207a051a4753c930f446591d232520b7db854b19c9da873650643bb03b0362",
    ),
    _MMLU: (
        "https://people.eecs.berkeley.edu/~hendrycks/data.tar",
        "bec563ba4bac1d6aaf04141cd7d1605d7a5ca833e38f994051e818489592989b",
    ),
}
# The members of that archive, in the format of sha256sum; a mirror holds them unpacked.
_MEMBERS = {
    name: sha256
    for sha256, name in map(str.split, Path(__file__).with_name("mmlu.sha256").read_text(encoding="utf-8").splitlines())
}


_dry: ContextVar[bool] = ContextVar("dry", default=False)


class WouldFetch(DataError):
    """Raised instead of a download in a ``dry`` block; ``url`` is where the file would come from."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(f"{name} is to be fetched from {url}")
        self.name, self.url = name, url


@contextmanager
def dry() -> Iterator[None]:
    """Within this block nothing is fetched: a file that is not here yet is a ``WouldFetch``."""
    token = _dry.set(True)
    try:
        yield
    finally:
        _dry.reset(token)


def names(head: str) -> list[str]:
    """The names of all files known here that begin with ``head``."""
    return [name for name in (*_FILES, *_MEMBERS) if name.startswith(head)]


def fetch(name: str, cache_dir: str | Path = ".cache/data") -> Path:
    """A checked local copy of the public file ``name`` (a path of the mirror's layout).

    A file of the mirror is used where it lies; a download is kept under ``cache_dir`` and made once.

    Raises:
        DataError: the name is unknown, the file can't be had, or its content is not what its authors published.
    """
    if name not in _FILES and name not in _MEMBERS:
        close = difflib.get_close_matches(name, names(""), n=3, cutoff=0)
        raise DataError(f"{name!r} is not a public file known here; the nearest are {', '.join(close)}")
    path, sha256 = _FILES.get(name) or (_MMLU, _MEMBERS[name])
    if mirror := os.environ.get(MIRROR):
        return _from_mirror(Path(mirror) / name, sha256)
    if path is None:
        raise DataError(f"{name} comes only with a local mirror; set {MIRROR} to the folder that holds it")
    if name in _MEMBERS:
        return _from_archive(name, sha256, Path(cache_dir))
    url = path if "://" in path else f"{_REPOSITORY}/{path}"
    return _from_network(name, url, sha256, Path(cache_dir))


def _from_mirror(file: Path, sha256: str) -> Path:
    if not file.is_file():
        raise DataError(f"{file} is missing; {MIRROR} must name a folder of the mirror's layout (unset it to download)")
    if not _is(file, sha256):
        raise DataError(f"{file} is not the published file (its SHA-256 differs from {sha256[:12]}…); copy it afresh")
    return file


def _from_archive(name: str, sha256: str, cache: Path) -> Path:
    """Unpack all members at once where this one is not there yet, or a kill left it half written."""
    file = cache / name
    if not _is(file, sha256):
        with tarfile.open(fetch(_MMLU, cache)) as archive:
            for member in archive:
                member.name = f"mmlu/{member.name.removeprefix('data/')}"
                if member.name in _MEMBERS:
                    archive.extract(member, cache, filter="data")
        if not _is(file, sha256):
            raise DataError(f"{cache / _MMLU} does not hold the published {name}; remove it to download it again")
    return file


def _is(file: Path, sha256: str) -> bool:
    return file.is_file() and pooch.file_hash(str(file)) == sha256


def _from_network(name: str, url: str, sha256: str, cache: Path) -> Path:
    # pooch announces every download; the caller's own progress says enough
    pooch.get_logger().setLevel("WARNING")
    file = cache / name
    if _dry.get() and not _is(file, sha256):
        raise WouldFetch(name, url)
    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=file.name, path=file.parent))
    except ValueError:
        raise DataError(f"{url} did not give the published file (its SHA-256 differs); try again later") from None
    except OSError as error:  # requests' errors are OSErrors too
        why = type(error).__name__
        raise DataError(f"{name} can't be downloaded ({why}); set {MIRROR} to a folder that holds it") from None
