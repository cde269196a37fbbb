"""``best_k_models.yaml``: what Lightning's ``ModelCheckpoint.to_yaml`` wrote. The only reader that needs yaml."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from ckptctl.errors import Damaged

MOST_BYTES = 16 << 20
"""A run with 100,000 checkpoints writes about 15 MB."""


def read_scores(data: bytes) -> Mapping[str, float]:
    """Path, as the writing machine named it, to score; raises Damaged where the text is anything else.

    Numbers that YAML 1.1 reads as text (``1e-05``) are numbers here. Aliases are refused: they make small files huge.
    """
    try:
        text = data.decode()
        _refuse_aliases(text)
        held = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
        return {str(path): float(score) for path, score in (held or {}).items()}
    except UnicodeDecodeError as error:
        raise Damaged(f"not text: byte {error.start} is not UTF-8") from error
    except yaml.YAMLError as error:
        raise Damaged(f"not YAML: {_first_line(error)}") from error
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise Damaged("not a mapping of paths to numbers") from error


def _refuse_aliases(text: str) -> None:
    if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)) if "*" in text else False:
        raise Damaged("it holds YAML aliases, which no best_k_models.yaml does")


def _first_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "cannot be read"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
