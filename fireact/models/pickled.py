"""An adapter that came as pickled weights, ``adapter_model.bin``, written as ``adapter_model.safetensors`` beside it.

    python -m fireact.models.pickled ADAPTER

Nothing in the pickled file is run, and the file stays. From then on the safetensors are what is read and hashed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file, save

from fireact.commands import end_with
from fireact.errors import FireActError, ModelError, StorageError
from fireact.trajectories.storage.reading import printable
from fireact.trajectories.storage.writing import replacing, writing

PICKLED, SAFE = "adapter_model.bin", "adapter_model.safetensors"


def convert(adapter: Path) -> Path:
    """Write the weights of ``adapter`` as safetensors, each tensor bit for bit; returns the new file.

    Raises:
        ModelError: there is no such file, or it holds anything but tensors by name.
        StorageError: there are safetensors already, or they can't be written.
    """
    source, target = adapter / PICKLED, adapter / SAFE
    if os.path.lexists(target):
        raise StorageError(f"{target} is there already, and it is what is read; nothing was changed")
    if not source.is_file() or source.is_symlink():
        raise ModelError(f"{source} is no file; name the folder of an adapter that came as {PICKLED}")
    try:
        weights = torch.load(source, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ModelError(f"{source} is damaged or holds more than weights, and code is not run; "
                         f"ask for it as {SAFE}") from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(f"{source} is damaged ({str(error).splitlines()[0]}); get it again") from error
    if not isinstance(weights, Mapping) or not all(isinstance(weight, torch.Tensor) for weight in weights.values()):
        raise ModelError(f"{source} holds something else than tensors by their names; ask for it as {SAFE}")
    # Copies, for safetensors hold no two views of one memory.
    plain = {str(name): weight.detach().clone().contiguous() for name, weight in weights.items()}
    with writing(target), replacing(target, "xb") as file:
        file.write(save(plain, metadata={"format": "pt"}))
    written = load_file(target)
    if not all(torch.equal(_bits(written[name]), _bits(weight)) for name, weight in plain.items()):
        target.unlink()
        raise StorageError(f"{target} was not read back as it was written; it was removed, try again elsewhere")
    return target


def _bits(weight: torch.Tensor) -> torch.Tensor:
    return weight.reshape(-1).view(torch.uint8)  # so that NaN equals itself


def main() -> int:
    """The command; returns its exit code."""
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print((__doc__ or "").strip())
        return 0 if len(sys.argv) == 2 else 2
    try:
        print(convert(Path(sys.argv[1])))
    except FireActError as error:
        print(printable(str(error)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    end_with(main)
