"""Wikipedia offline: the introductions of all articles of October 2017 that HotpotQA was made from (Yang et al. 2018).

Their archive is a tar.bz2 of shards, each a bz2 file of JSON lines with a title and a text, a list of sentences. It is
read once, from first to last, into a corpus and an index below ``cache_dir``; then it is not needed any more.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from fireact.errors import ConfigError, StorageError
from fireact.ranges import Count, NoEffect, Text
from fireact.tools.bm25 import BM25, TitleWeight, parse_document
from fireact.tools.corpora import Mapped, text_of
from fireact.tools.mapped import damage, open_mapped, place_of
from fireact.tools.shards import Archive, Folder, write_corpus
from fireact.trajectories.storage import download

ARCHIVE = "hotpotqa/enwiki-20171001-pages-meta-current-withlinks-abstracts.tar.bz2"
_NAME = "enwiki-20171001"
_KIND = "shards 1"  # how a corpus is made of them
_REMEDY = "download it again, or name a folder of extracted shards"
_ROOM = 5  # times the size of the shards: corpus, index and what is written on the way to it


class WikipediaBM25(BM25):
    """BM25 over the introductions of the English Wikipedia's 5,233,329 articles; the first one makes the index.

    Args:
        path: the archive, or a folder that it was extracted to; None fetches it to ``downloads``. The archive must be
            the published one; a folder may hold other shards of that form.
        k, words, title_weight: see ``BM25``.
        cache_dir: where corpus and index are kept.

    Raises:
        ConfigError: there is nothing at ``path``.
        DataError: the archive can't be had or is not the published one, or a shard is damaged; the message names it.
        StorageError: corpus or index can't be written.
    """

    def __init__(
        self,
        path: Text | None = None,
        k: Count = 1,
        words: Count = 40,
        title_weight: TitleWeight = 2,
        cache_dir: NoEffect[Text] = ".cache/bm25",
        downloads: Text = ".cache/data",
    ) -> None:
        shards = _folder(path)

        def write(corpus: Path) -> None:
            own = shards or Archive(_archive(path, downloads))
            free, wanted = shutil.disk_usage(corpus.parent).free / 1e9, own.size * _ROOM / 1e9
            if free < wanted and not corpus.exists():
                raise StorageError(f"{cache_dir} has {free:.1f} GB left, and the search index of {own.path} takes "
                                   f"{wanted:.1f} GB while it is made; free space or choose another cache_dir")
            write_corpus(own, corpus)

        text = partial(text_of, title_weight=title_weight)
        opened = open_mapped(_place(shards, Path(cache_dir), title_weight), write, parse_document, text)
        super().__init__(Mapped(shards.path.name if shards else _NAME, *opened), k, words, title_weight)

    @staticmethod
    def needs(
        path: str | None = None, title_weight: int = 2, cache_dir: str = ".cache/bm25", downloads: str = ".cache/data",
        **_: Any,
    ) -> list[download.Need]:  # fmt: skip
        """The public files that would be fetched with these arguments: none once there is an index.

        Raises:
            ConfigError: there is nothing at ``path``.
            DataError: the file there is not the published one, by its size, or the folder holds no shards.
        """
        if (shards := _folder(path)) is not None:
            shards.check()
        there = not damage(_place(shards, Path(cache_dir), title_weight))
        return [] if there or path is not None else [download.need(ARCHIVE, downloads)]


def _folder(path: str | None) -> Folder | None:
    """The shards of ``path``, if it is a folder; an archive is told by its size, to be read only if there is need."""
    if path is None:
        return None
    if Path(path).is_dir():
        return Folder(Path(path))
    if not Path(path).is_file():
        raise ConfigError(f"search.path={path} does not exist; name the archive {Path(ARCHIVE).name} or the folder "
                          "that it was extracted to, or leave search.path out to download it")
    download.check_size(ARCHIVE, Path(path), _REMEDY)
    return None


def _place(shards: Folder | None, cache_dir: Path, title_weight: int) -> Path:
    content = shards.stamp() if shards else str(download.known_file(ARCHIVE).sha256)
    return place_of(cache_dir, content, f"{_KIND} title_weight={title_weight}")


def _archive(path: str | None, downloads: str) -> Path:
    return download.check(ARCHIVE, Path(path), _REMEDY, downloads) if path else download.fetch(ARCHIVE, downloads)
