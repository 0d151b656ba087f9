"""How each causal architecture of transformers can act: the engine, with a shared beginning, in padded batches.

    python benchmarks/architectures_acting.py [NAME ...]

prints a line for each: "yes", or why not. Nothing is downloaded: every one is tried as a toy of its default
configuration (``fireact.lms.huggingface.trial``).
"""

from __future__ import annotations

import sys
import tempfile
import time

from transformers import CONFIG_MAPPING, PretrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from fireact.lms.huggingface.trial import Trial


def verdicts(config: PretrainedConfig) -> dict[str, str]:
    """Of each way of acting: empty where it gives the model's own numbers, else why not."""
    with tempfile.TemporaryDirectory() as nothing_known:
        trial = Trial(config, cache_dir=nothing_known)
        return {"engine": trial.engine, "shared beginning": trial.shared, "padded batches": trial.together}


def main(names: list[str]) -> None:
    """Print a line for each architecture, and how many can act each way."""
    logging.set_verbosity_error()
    able: dict[str, int] = {}
    for name in names or MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        start = time.process_time()
        try:
            said = verdicts(CONFIG_MAPPING[name]())
        except Exception as error:  # a configuration that has no defaults to build from
            print(f"{name}: not built ({type(error).__name__})", flush=True)
            continue
        for way, why in said.items():
            able[way] = able.get(way, 0) + (not why)
        line = "; ".join(f"{way} {'no: ' + why if why else 'yes'}" for way, why in said.items())
        print(f"{name}: {line} ({time.process_time() - start:.1f} s)", flush=True)
    print(able)


if __name__ == "__main__":
    main(sys.argv[1:])
