"""The public files that are read, each with where it is published and what it must be: a table, and no code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A file that somebody published.

    Attributes:
        sha256: of its content, which is checked whenever it is read; None for an archive that is known by its members.
        url: where it is published; None where it comes out of an archive, or where only a mirror has it.
        size: in bytes, where known.
        hub: for a file of a data set on the Hugging Face hub, (data set, revision, path in it), used in place of url.
        archive: the name here of the archive that it is a member of, and its name there.
    """

    sha256: str | None
    url: str | None = None
    size: int | None = None
    hub: tuple[str, str, str] | None = None
    archive: tuple[str, str] | None = None


_REPOSITORY = "https://raw.githubusercontent.com/anchen1011/FireAct/94c6189"
_RELEASED_RUN = "hotpotqa_dev_0_500_ft_gpt-3.5-turbo-0613_princeton-nlp__7woQRsdi_0.0_2023-09-21-16-19-51.json"
_HOTPOTQA = ("hotpotqa/hotpot_qa", "1908d6afbbead072334abe2965f91bd2709910ab")
_MMLU = "mmlu/data.tar"
_STRATEGYQA = "strategyqa/strategyqa_dataset.zip"


def _released(path: str, sha256: str, size: int) -> PublicFile:
    return PublicFile(sha256, f"{_REPOSITORY}/{path}", size)


def _hotpotqa(path: str, sha256: str, size: int) -> PublicFile:
    return PublicFile(sha256, size=size, hub=(*_HOTPOTQA, path))


def _mmlu() -> dict[str, PublicFile]:
    """The members of MMLU's archive, from a list in the format of sha256sum."""
    lines = Path(__file__).with_name("mmlu.sha256").read_text(encoding="utf-8").splitlines()
    rows = (line.split() for line in lines)
    return {name: PublicFile(sha256, archive=(_MMLU, name.replace("mmlu/", "data/", 1))) for sha256, name in rows}


# By name: where a file lies below FIREACT_DATA and below the cache.
REGISTRY: dict[str, PublicFile] = {
    "fireact/alpaca_format/hotpotqa.json": _released(
        "data/finetune/alpaca_format/hotpotqa.json",
        "99d425102451935e30a9c4419643003e4065cc2a10f61ad2cca815922a7b65c8",
        453_115,
    ),
    "fireact/alpaca_format/hotpotqa_multimethod.json": _released(
        "data/finetune/alpaca_format/hotpotqa_multimethod.json",
        "a478eef47c6ee5fd8ef0716cbc07d0e24cbcd27e8b669d3de787267858d32836",
        691_080,
    ),
    "fireact/alpaca_format/multitask.json": _released(
        "data/finetune/alpaca_format/multitask.json",
        "1a03d1034618ca81bbe8ff216272464f9185b1c2cc0e55c8a26b8aabf61e2839",
        1_366_903,
    ),
    "fireact/alpaca_format/multitask_multimethod.json": _released(
        "data/finetune/alpaca_format/multitask_multimethod.json",
        "753a05e4e85b9fed41edc0d8cebc0e2fdf7207777ce34edc320b3fd5ac97795f",
        2_010_629,
    ),
    "fireact/gpt_format/hotpotqa.jsonl": _released(
        "data/finetune/gpt_format/hotpotqa.jsonl",
        "f4725dad6170c2f291dac66ab442e7a8de7fd89755faedb346041059ff1b8aed",
        528_905,
    ),
    "fireact/gpt_format/hotpotqa_multimethod.jsonl": _released(
        "data/finetune/gpt_format/hotpotqa_multimethod.jsonl",
        "2220b96cceb289d722f152c4f3f0681e87b9ff61e7c96742ad9fe17fb87ced14",
        796_533,
    ),
    "fireact/gpt_format/multitask.jsonl": _released(
        "data/finetune/gpt_format/multitask.jsonl",
        "0c67c4c9a2ed54b1e93600c9768cbbf4825707304a69297cb0a4330acca52286",
        1_528_861,
    ),
    "fireact/gpt_format/multitask_multimethod.jsonl": _released(
        "data/finetune/gpt_format/multitask_multimethod.jsonl",
        "1d17110aac595812e0c21ffd8159da9609b776994a8016d3fa57e4190f98934b",
        2_231_135,
    ),
    f"fireact/trajs/{_RELEASED_RUN}": _released(
        f"trajs/{_RELEASED_RUN}",
        "17cfd4634c10446cc662827a6014c214705cf0c099db6efe423f6e8027a4ed6e",
        699_707,
    ),
    "hotpotqa/dev.json": _released(
        "data/hotpotqa/dev.json",
        "05001dcdeb2b2b2243a88f23daaf8de9237494cd387e13bc25854d3e031101d3",
        1_179_017,
    ),
    "hotpotqa/distractor/validation-00000-of-00001.parquet": _hotpotqa(
        "distractor/validation-00000-of-00001.parquet",
        "c20b638ca82b21d04fe12e14ff417ad05153d4d215a65de54497fca4e972f7c6",
        27_452_575,
    ),
    "hotpotqa/distractor/train-00000-of-00002.parquet": _hotpotqa(
        "distractor/train-00000-of-00002.parquet",
        "76d3bb3048a7cc73c1958107c0c5872a00d7e7d00c105b81e92f6769e7822e68",
        165_624_177,
    ),
    "hotpotqa/distractor/train-00001-of-00002.parquet": _hotpotqa(
        "distractor/train-00001-of-00002.parquet",
        "713661628434fbb19fff7392e2e321e4ed107e3c7c7784d0690946e5f722763f",
        166_162_479,
    ),
    "hotpotqa/enwiki-20171001-pages-meta-current-withlinks-abstracts.tar.bz2": PublicFile(
        "1acca1c5cc93c4890ea51091d2bad7c3ef6987aead127ab88728dc9e26555729",
        "https://nlp.stanford.edu/projects/hotpotqa/enwiki-20171001-pages-meta-current-withlinks-abstracts.tar.bz2",
        1_553_565_403,
    ),
    "hotpotqa/questions_300.jsonl": PublicFile(  # our own cut of the set above
        "b496a59aaa455d7d33724fb1f94b8ad66649e26d897ea34ee13705473e36f6d5", size=126_399
    ),
    "hotpotqa/paragraphs.jsonl": PublicFile(  # our own cut of the set above
        "76b6947da346eef628027b07a026b7fae4136e5d2b75097e336b27a48d186965", size=1_823_966
    ),
    "bamboogle/test.csv": _released(
        "data/bamboogle/test.csv",
        "b55aae3490787efac7e17cd2be4a79f2359885ad346b3bbc0cc335b02ed44cc4",
        10_114,
    ),
    "strategyqa/strategyqa_dev.json": _released(
        "data/strategyqa/strategyqa_dev.json",
        "0d94842ffb022db8fd5ecd2168b785d5cf67f6faf64f665476bad544a3eb9dde",
        424_195,
    ),
    "strategyqa/strategyqa_train_filtered.json": PublicFile(
        "5c207a051a4753c930f446591d232520b7db854b19c9da873650643bb03b0362",
        size=681_610,
        archive=(_STRATEGYQA, "strategyqa_train_filtered.json"),
    ),
    _STRATEGYQA: PublicFile(None, "https://storage.googleapis.com/ai2i/strategyqa/data/strategyqa_dataset.zip"),
    _MMLU: PublicFile(
        "bec563ba4bac1d6aaf04141cd7d1605d7a5ca833e38f994051e818489592989b",
        "https://people.eecs.berkeley.edu/~hendrycks/data.tar",
    ),
    **_mmlu(),
}
