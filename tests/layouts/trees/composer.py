"""What Composer leaves in a folder."""

from __future__ import annotations

import pickle

from tests.layouts.tree import Expected, Tree, torch_file

_WHOLE = torch_file({"state": {"model": {}, "optimizers": {}, "timestamp": {}}, "rng": []})
_MANIFEST = pickle.dumps({"storage_data": ["__0_0.distcp", "__1_0.distcp"]}, protocol=4)
_ZSTD = b"\x28\xb5\x2f\xfd\x00\x00"


def _ranks(stem: str, ranks: tuple[int, ...] = (0, 1, 2)) -> dict[str, bytes]:
    return {f"{stem}-rank{rank}.pt": _WHOLE for rank in ranks}


def _sharded(stem: str) -> dict[str, bytes]:
    return {f"{stem}/__0_0.distcp": b"x", f"{stem}/__1_0.distcp": b"x", f"{stem}/.metadata": _MANIFEST}


TREES = (
    Tree(
        "one file of rank 0 and a link to the latest",
        "composer",
        {f"ep{epoch}-ba{10 * epoch}-rank0.pt": _WHOLE for epoch in (1, 2, 3)},
        tuple(Expected(f"ep{epoch}-ba{10 * epoch}-rank0.pt", epoch=epoch, step=10 * epoch) for epoch in (1, 2, 3)),
        links={"latest-rank0.pt": "ep3-ba30-rank0.pt"},
        pointers={"latest-rank0.pt": "ep3-ba30-rank0.pt"},
    ),
    Tree(
        "the newest cut short",
        "composer",
        {"ep0-ba100-rank0.pt": _WHOLE, "ep0-ba200-rank0.pt": _WHOLE, "ep0-ba300-rank0.pt": _WHOLE[:-20]},
        (
            Expected("ep0-ba100-rank0.pt", epoch=0, step=100),
            Expected("ep0-ba200-rank0.pt", epoch=0, step=200),
            Expected("ep0-ba300-rank0.pt", epoch=0, step=300, state="damaged"),
        ),
        links={"latest-rank0.pt": "ep0-ba200-rank0.pt"},
        pointers={"latest-rank0.pt": "ep0-ba200-rank0.pt"},
    ),
    Tree(
        "a file of each rank, one of the newest missing",
        "composer",
        {**_ranks("ep1-ba10"), **_ranks("ep2-ba20"), **_ranks("ep3-ba30", (0, 2))},
        (
            Expected("ep1-ba10", tuple(_ranks("ep1-ba10")), epoch=1, step=10),
            Expected("ep2-ba20", tuple(_ranks("ep2-ba20")), epoch=2, step=20),
            Expected("ep3-ba30", tuple(_ranks("ep3-ba30", (0, 2))), epoch=3, step=30, state="partial"),
        ),
        links={f"latest-rank{rank}.pt": f"ep2-ba20-rank{rank}.pt" for rank in (0, 1, 2)},
        pointers={f"latest-rank{rank}.pt": "ep2-ba20" for rank in (0, 1, 2)},
    ),
    Tree(
        "compressed files, and a text in place of a link",
        "composer-packed",
        {
            **{f"ep{epoch}-ba{10 * epoch}-rank0.pt.zst": _ZSTD for epoch in (1, 2, 3)},
            "latest-rank0.pt.zst.symlink": b"my-run/checkpoints/ep3-ba30-rank0.pt.zst",
        },
        tuple(Expected(f"ep{epoch}-ba{10 * epoch}-rank0.pt.zst", epoch=epoch, step=10 * epoch) for epoch in (1, 2, 3)),
        pointers={"latest-rank0.pt.zst.symlink": "ep3-ba30-rank0.pt.zst"},
    ),
    Tree(
        "folders of shards, the newest without what is written last",
        "composer-sharded",
        {
            **_sharded("ep1-ba10"),
            **_sharded("ep2-ba20"),
            **{path: data for path, data in _sharded("ep3-ba30").items() if not path.endswith(".metadata")},
        },
        (
            Expected("ep1-ba10", epoch=1, step=10),
            Expected("ep2-ba20", epoch=2, step=20),
            Expected("ep3-ba30", epoch=3, step=30, state="partial"),
        ),
        links={"latest-rank0.pt": "ep2-ba20"},
        pointers={"latest-rank0.pt": "ep2-ba20"},
    ),
    Tree(
        "folders of shards, one of the newest missing, and a text in place of a link",
        "composer-sharded",
        {
            **_sharded("ep1-ba10"),
            **{path: data for path, data in _sharded("ep2-ba20").items() if not path.endswith("__1_0.distcp")},
            "latest-rank0.pt.symlink": b"my-run/checkpoints/ep1-ba10",
        },
        (Expected("ep1-ba10", epoch=1, step=10), Expected("ep2-ba20", epoch=2, step=20, state="partial")),
        pointers={"latest-rank0.pt.symlink": "ep1-ba10"},
    ),
)
