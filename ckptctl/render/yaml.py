"""The summary that Lightning's ``ModelCheckpoint.to_yaml`` writes, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping

import yaml


def best_k_models(scores: Mapping[str, float]) -> str:
    """Paths to scores as Lightning (1.4 to 2.6) writes ``best_k_models.yaml``: keys sorted, long ones as ``? key``.

    The paths are dumped as given; Lightning gives absolute ones.
    """
    return yaml.dump(dict(scores))
