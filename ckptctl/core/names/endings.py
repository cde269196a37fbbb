"""Endings of file names that say what a file cannot be; what it is, its content says."""

from __future__ import annotations

NOT_WEIGHTS = frozenset(
    """json jsonl yaml yml toml ini cfg txt log out err csv tsv md rst py pyc ipynb sh sbatch
    png jpg jpeg gif svg bmp tif tiff pdf html css js mp4 avi mov wav mp3 flac xml lock
    pid gv dot tex c cpp h cu so whl parquet arrow feather xlsx db sqlite patch diff done
    tmp part swp crc md5 sha256 npy mat zarr tfrecord tfevents gz bz2 xz zst 7z rar vocab
    metadata""".split()
)
"""Of texts, pictures, sounds and tables: such files are never looked into."""


def may_hold_weights(name: str) -> bool:
    """Whether a file of that name is worth a look."""
    _, dot, ending = name.rpartition(".")
    return not (dot and ending.lower() in NOT_WEIGHTS) and not name.startswith(".")
