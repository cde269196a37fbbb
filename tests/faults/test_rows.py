"""Each row of the table of faults has a test: marked ``row`` in this folder, or named here with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
ELSEWHERE = {
    "D8": "prune/test_apply.py::test_what_changed_since_the_plan_stays",
    "D10": "cli/test_prune.py::test_a_link_keeps_its_target_wherever_the_link_lies",
    "D11": "cli/test_link.py::test_a_link_that_is_wrong_dangles_or_loops_is_repaired",
    "D15": "layouts/test_half_written.py::test_what_is_left_of_the_newest_never_goes",
    "D16": "cli/test_trash.py::test_what_another_process_has_open_stays_unless_it_may_go",
    "D17": "core/test_objections.py::test_nothing_goes_by_a_listing_that_is_not_complete",
    "D18": "cli/test_prune.py::test_more_than_max_delete_is_refused_whole",
    "D19": "core/test_objections.py::test_some_places_are_too_large_or_too_empty",
    "D20": "stores/test_local.py::test_a_folder_with_a_mount_in_it_stays_whole",
    "D21": "core/test_plan.py::test_a_hard_linked_file_frees_its_bytes_once_all_its_names_go",
    "D25": "stores/test_local.py::test_any_name_that_a_disk_can_hold_goes_round",
    "D29": "prune/test_trash.py::test_what_is_in_the_way_stays_and_the_rest_comes_back",
    "D30": "cli/test_prune.py::test_without_a_terminal_nothing_goes_without_yes",
    "D31": "laws/test_retention.py::test_every_checkpoint_and_stray_gets_exactly_one_verdict_with_a_reason",
}


def test_every_row_has_a_test() -> None:
    marked = {
        row
        for path in sorted((TESTS / "faults").glob("test_*.py"))
        for words in re.findall(r"mark\.row\(([^)]*)\)", path.read_text())
        for row in re.findall(r"D\d+", words)
    }
    assert sorted(marked | ELSEWHERE.keys()) == sorted(f"D{row}" for row in range(1, 32))


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE)
def test_the_test_of_a_row_is_where_the_table_says(place: str) -> None:
    path, _, name = place.partition("::")
    assert f"def {name}(" in (TESTS / path).read_text()
