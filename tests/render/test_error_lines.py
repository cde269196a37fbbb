from __future__ import annotations

import pytest

from ckptctl.core.model import Run
from ckptctl.core.ranking import choose_metric
from ckptctl.errors import CkptctlError, MetricUnclear, NoScore, Refused, UsageError
from ckptctl.render.text import error_lines, hint, warning
from tests.render.samples import odd


@pytest.mark.parametrize(
    ("error", "done", "text"),
    [
        (
            NoScore("no checkpoint has a value for 'val_los'", path="runs/a", hint="metrics found: val_loss (4)"),
            None,
            """\
ckptctl: error[no-score]: runs/a: no checkpoint has a value for 'val_los'
hint: metrics found: val_loss (4)
""",
        ),
        (UsageError("no rule at all"), None, "ckptctl: error[usage]: no rule at all\n"),
        (
            Refused("9 would go", id="max-delete", hint="pass --yes"),
            "Nothing was deleted.",
            "ckptctl: error[max-delete]: 9 would go\nNothing was deleted.\nhint: pass --yes\n",
        ),
        (NoScore("none", path=""), None, "ckptctl: error[no-score]: .: none\n"),
        (NoScore("a\x1b\nb", path="r\n"), None, "ckptctl: error[no-score]: r\\n: a\\x1b\\nb\n"),
    ],
    ids=["hint", "no path", "done", "the root", "nasty"],
)
def test_an_error_says_what_where_and_what_to_do(error: CkptctlError, done: str | None, text: str) -> None:
    assert error_lines(error, done) == text


def test_an_error_of_the_core_needs_no_more_words() -> None:
    run = odd().run._replace(monitor=None)
    with pytest.raises(MetricUnclear) as caught:
        choose_metric(Run("r", run.checkpoints))
    assert error_lines(caught.value).startswith(
        "ckptctl: error[no-monitor]: r: several metrics, and none is named: val/acc (3)"
    )


def test_warnings_and_hints_are_one_line() -> None:
    assert warning("a\nb") == "warning: a\\nb\n"
    assert hint("pass --yes") == "hint: pass --yes\n"
