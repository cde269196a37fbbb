"""What SpeechBrain leaves in a folder of checkpoints."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, torch_file

_WHOLE = torch_file({"weight": 1.0})
_NAMES = ("model", "brain", "optimizer", "counter", "dataloader-TRAIN")


def _folder(name: str, noted: str = "", kept: tuple[str, ...] = _NAMES) -> dict[str, bytes]:
    """One save: what was noted is written first."""
    said = f"# yamllint disable\n{noted}end-of-epoch: true\nunixtime: 1618481472.123\n"
    return {f"{name}/CKPT.yaml": said.encode(), **{f"{name}/{it}.ckpt": _WHOLE for it in kept}}


_FIRST, _SECOND, _THIRD = (f"CKPT+2021-04-15+1{hour}-11-12+00" for hour in (0, 1, 2))

TREES = (
    Tree(
        "three saves with what was measured",
        "speechbrain",
        {
            **_folder(_FIRST, "WER: 12.5\nepoch: 1\n"),
            **_folder(_SECOND, "WER: 8.25\nepoch: 2\n"),
            **_folder(_THIRD, "WER: 9.0\nepoch: 3\n"),
            "label_encoder.txt": b"a => 0\n",
            "train.csv": b"ID\n",
        },
        (
            Expected(_FIRST, epoch=1, metrics={"WER": 12.5}),
            Expected(_SECOND, epoch=2, metrics={"WER": 8.25}),
            Expected(_THIRD, epoch=3, metrics={"WER": 9.0}),
        ),
    ),
    Tree(
        "the newest only begun",
        "speechbrain",
        {
            **_folder(_FIRST, "loss: 1.5\n"),
            **_folder(_SECOND, "loss: 1.25\n"),
            **_folder(_THIRD, "loss: 1.0\n", kept=()),
        },
        (
            Expected(_FIRST, metrics={"loss": 1.5}),
            Expected(_SECOND, metrics={"loss": 1.25}),
            Expected(_THIRD, state="partial"),
        ),
    ),
    Tree(
        "two in one second, and one that was named",
        "speechbrain",
        {**_folder(_FIRST), **_folder(_FIRST[:-1] + "1"), **_folder("CKPT+pretrained")},
        (
            Expected(_FIRST),
            Expected(_FIRST[:-1] + "1"),
            Expected("CKPT+pretrained", roles=("named",)),
        ),
    ),
)
