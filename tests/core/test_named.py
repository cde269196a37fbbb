"""What becomes of what a person names, by the rule that keeps all others."""

from __future__ import annotations

from ckptctl.core.retention.rules import KeepOthers
from ckptctl.core.retention.rules.protocol import make_rule_context
from tests.core.samples import save


def test_the_rule_keeps_all_that_is_not_named_and_says_of_the_others_that_they_are() -> None:
    held = [save("a"), save("b"), save("c")]
    rule, standing = KeepOthers(frozenset({"b"})), make_rule_context(held)
    assert rule.keep(standing) == {"a": "not named", "c": "not named"}
    assert rule.pass_over(held[1], standing) == "named"
    assert (rule.id, rule.describe()) == ("not-named", "all that is not named")
