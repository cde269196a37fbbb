"""A prune of several places, of which some may be remote: what each says of itself, and of the others."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from ckptctl import plan_prune
from ckptctl.core.model import Pointer
from ckptctl.core.retention.objections import RootFacts
from ckptctl.core.retention.policy import Policy
from ckptctl.errors import Locked, Refused, UsageError
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.planning import (
    OLDEST,
    PruneJob,
    PruneRequest,
    find_cross_links,
    find_refusal,
    make_prune_job,
    plan_stores,
    read_root_facts,
)
from ckptctl.prune.policy_options import PolicyOptions
from ckptctl.scan.runs import Options
from ckptctl.scan.tree_listing import list_tree
from ckptctl.stores import open_store, require_writable
from tests.cli.calls import LAST, NAMES, call, checkpoints_in, make_run, state
from tests.stores.memory import MemoryStore

OLDER = NAMES[:-1]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders with a run in each; the current directory is above."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        make_run(tmp_path / name / "run")
    return tmp_path


@pytest.fixture
def bucket() -> Iterator[str]:
    """A run in an object store."""
    files = fsspec.filesystem("memory")
    for name in NAMES:
        files.pipe_file(f"/places/run/{name}", state())
    yield "memory://places/run"
    files.rm("/places", recursive=True)


def put_in(where: Path, *names: str) -> Path:
    """Files of no interest."""
    where.mkdir(parents=True)
    for name in names:
        (where / name).write_bytes(state())
    return where


# Clocks


def job_of(*clocks: int, made: int) -> PruneJob:
    """A job of stores with these clocks, whose plan was made at some time."""
    return PruneJob([MemoryStore(now=it) for it in clocks], Options(now=made), Policy(()))


def refused(job: PruneJob) -> str | None:
    refusal = find_refusal(job, plan_stores(job)._replace(objections=()))
    return None if refusal is None else refusal.id


@pytest.mark.parametrize(("age", "told"), [(OLDEST, None), (OLDEST + 1, "stale-plan")], ids=["a day", "a moment more"])
def test_a_plan_may_be_carried_out_until_it_is_older_than_a_day(age: int, told: str | None) -> None:
    made = 1_700_000_000 * 10**9
    assert OLDEST == 86_400 * 10**9
    assert refused(job_of(made + age, made=made)) == told


def test_of_several_places_the_slowest_clock_tells_how_old_a_plan_is() -> None:
    made = 1_700_000_000 * 10**9
    assert refused(job_of(made + 2 * OLDEST, made + 1, made=made)) is None
    assert refused(job_of(made + 2 * OLDEST, made + OLDEST + 1, made=made)) == "stale-plan"


def test_a_plan_of_several_places_is_made_by_the_slowest_clock() -> None:
    """By a faster one, what is being written in the other place would seem to be old."""
    stores = [MemoryStore(now=it * 10**9) for it in (1_700_000_900, 1_700_000_000, 1_700_000_500)]
    request = PruneRequest(PolicyOptions(keep_last=1))
    assert make_prune_job(request, stores).scanning.now == 1_700_000_000 * 10**9


# Links from one place into another


def links_between(*places: str) -> list[Pointer]:
    stores = [open_store(it) for it in places]
    return find_cross_links(stores, [list_tree(it, Options(now=10**18)) for it in stores])


def test_a_link_into_another_place_is_told_with_both_paths_as_seen_from_above(places: Path) -> None:
    (places / "b" / "mine.ckpt").symlink_to(f"../a/run/{LAST}")
    expected = Pointer("b/mine.ckpt", "symlink", f"a/run/{LAST}", "ok")
    assert links_between("a", "b") == links_between("b", "a") == [expected]


def test_a_link_within_its_own_place_leads_into_no_other(places: Path) -> None:
    (places / "a" / "mine.ckpt").symlink_to(f"run/{LAST}")
    assert links_between("a", "b") == []


def test_a_link_to_a_folder_that_is_called_as_an_object_store_is_leads_to_nothing_in_that(
    places: Path, bucket: str
) -> None:
    put_in(places / "memory:" / "places" / "run", NAMES[0])
    (places / "a" / "mine.ckpt").symlink_to(f"../memory:/places/run/{NAMES[0]}")
    assert links_between("a", bucket) == []
    (places / "b" / "mine.ckpt").symlink_to(f"../a/run/{NAMES[0]}")
    assert [it.path for it in links_between("a", bucket, "b")] == ["b/mine.ckpt"]


# Remote places


def test_a_plan_for_an_object_store_is_refused_when_it_is_to_be_applied(bucket: str) -> None:
    plan = plan_prune(bucket, keep_last=1)
    assert [it.path for it in plan.drops] == [f"{bucket}/{name}" for name in OLDER]
    with pytest.raises(Refused) as caught:
        plan.apply()
    assert (caught.value.id, caught.value.path, caught.value.done) == (
        "read-only-store",
        bucket,
        "nothing was deleted",
    )


def test_nothing_goes_anywhere_where_one_of_several_places_is_an_object_store(places: Path, bucket: str) -> None:
    """Not even from the place that is named first, which could be changed."""
    answer = call("prune", "a", bucket, "--keep-last", "1", "--yes", "--json")
    assert (answer.code, answer.error["id"], answer.error["path"]) == (6, "read-only-store", bucket)
    assert checkpoints_in(places / "a" / "run") == NAMES
    assert len(answer.json["runs"]) == 2


def test_an_object_store_is_no_reason_to_refuse_where_nothing_would_go(bucket: str) -> None:
    answer = call("prune", bucket, "--keep-last", "9", "--yes")
    assert (answer.code, "Nothing to delete" in answer.err) == (0, True)


def test_an_object_store_is_no_reason_to_refuse_a_dry_run(bucket: str) -> None:
    job = make_prune_job(PruneRequest(PolicyOptions(keep_last=1)), [open_store(bucket)])
    planned = plan_stores(job)
    assert find_refusal(job, planned, is_dry=True) is None
    refusal = find_refusal(job, planned)
    assert refusal is not None
    assert refusal.id == "read-only-store"


def test_nobody_can_tell_how_much_is_free_in_an_object_store(bucket: str) -> None:
    with pytest.raises(UsageError, match="nobody can tell how much is free there") as caught:
        plan_prune(bucket, keep_last=1, free="1GB")
    assert caught.value.path == bucket


def test_an_object_store_has_neither_mounts_nor_homes(bucket: str) -> None:
    assert read_root_facts(open_store(bucket)) == RootFacts(bucket)
    assert read_root_facts(open_store(bucket), is_empty=True) == RootFacts(bucket, is_empty=True)


# Homes


def with_homes(monkeypatch: pytest.MonkeyPatch, homes: dict[int, str]) -> None:
    """Let the machine have accounts with these numbers and homes."""
    fields = dict(zip(("name", "passwd", "uid", "gid", "gecos", "dir", "shell"), pwd.getpwuid(0), strict=True))
    people = [pwd.struct_passwd({**fields, "uid": uid, "dir": home}.values()) for uid, home in homes.items()]
    monkeypatch.setattr(pwd, "getpwall", lambda: people)


@pytest.mark.parametrize(("uid", "code"), [(0, 6), (1, 0)], ids=["of root", "of a service"])
def test_the_home_is_refused_of_an_account(places: Path, uid: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with_homes(monkeypatch, {uid: str(places / "a")})
    assert call("prune", "a", "--keep-last", "1", "--yes").code == code


def test_an_account_without_a_home_does_not_make_the_current_folder_one(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_homes(monkeypatch, {1000: ""})
    monkeypatch.chdir(places / "a")
    assert call("prune", "--keep-last", "1", "--yes").code == 0
    assert checkpoints_in(places / "a" / "run") == [LAST]


# Roots


def test_a_root_that_must_not_be_pruned_is_not_listed_by_who_means_to_and_is_by_a_dry_run(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody should wait for a scan of a whole home to hear that."""
    monkeypatch.setenv("HOME", str(places / "a"))
    answer = call("prune", "a", "--keep-last", "1", "--yes", "--json")
    assert (answer.code, answer.error["id"], answer.json["runs"]) == (6, "root-is-home", [])
    shown = call("prune", "a", "--keep-last", "1", "-n", "--json")
    assert (shown.code, shown.error["id"]) == (6, "root-is-home")  # it promises nothing that the run itself refuses
    assert [it["path"] for it in shown.json["runs"]] == ["run"]


@pytest.mark.parametrize("words", [["--yes"], ["-n"], ["--check"]])
def test_a_project_is_refused_and_the_folder_of_runs_in_it_is_not(places: Path, words: list[str]) -> None:
    (places / "a" / ".git").mkdir()
    (places / "a" / "venv").mkdir()
    for number in range(1001):
        (places / "a" / "venv" / f"{number}.py").touch()
    answer = call("prune", "a", "--keep-last", "1", *words)
    assert (answer.code, "error[root-is-work-tree]" in answer.err) == (6, True)
    assert "a git work tree with 1001 files that are no checkpoints'" in answer.err
    assert checkpoints_in(places / "a" / "run") == NAMES
    assert call("prune", "a/run", "--keep-last", "1", *words).code in (0, 10)


def test_what_git_itself_keeps_makes_no_project(places: Path) -> None:
    (places / "a" / ".git").mkdir()
    for number in range(1001):
        (places / "a" / ".git" / f"{number}").touch()
    assert call("prune", "a", "--keep-last", "1", "--yes").code == 0


def test_a_checkpoint_in_a_home_goes_by_its_name(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(places / "a" / "run"))
    assert call("rm", f"a/run/{NAMES[0]}", "--yes").code == 0
    assert checkpoints_in(places / "a" / "run") == NAMES[1:]


@pytest.mark.parametrize("empty", ["c", "a0"], ids=["the last", "the first"])
def test_where_one_of_several_places_is_empty_nothing_is_planned_for_the_others(places: Path, empty: str) -> None:
    (places / empty).mkdir()
    answer = call("prune", *sorted(["a", "b", empty]), "--keep-last", "1", "--yes", "--json")
    assert (answer.code, answer.error["id"], answer.json["runs"]) == (6, "root-is-empty", [])
    assert checkpoints_in(places / "a" / "run") == NAMES


def test_where_one_of_several_places_is_empty_a_dry_run_shows_what_would_go_from_the_others(places: Path) -> None:
    (places / "c").mkdir()
    answer = call("prune", "a", "c", "--keep-last", "1", "-n", "--json")
    assert [it["path"] for it in answer.json["runs"]] == ["a/run"]


def test_a_place_that_is_gone_since_the_plan_is_told_as_the_system_says_it(places: Path) -> None:
    plan = plan_prune(places / "a", keep_last=1)
    (places / "a").rename(places / "moved")
    with pytest.raises(Refused) as caught:
        plan.apply()
    assert (caught.value.id, caught.value.text) == ("stale-plan", "No such file or directory")
    assert (caught.value.path, caught.value.done) == (str(places / "a"), "nothing was deleted")


# What keeps one place from being pruned


def test_what_keeps_a_later_place_from_being_pruned_is_told_of_each_of_its_checkpoints(places: Path) -> None:
    """What is done in the first place is done, and must be told."""
    plan = plan_prune([places / "a", places / "b"], keep_last=1)
    store = require_writable(open_store(str(places / "b")))
    with acquire_lock(store, "prune"):
        outcome = plan.apply()
        with pytest.raises(Locked) as caught, acquire_lock(store, "prune"):
            pass
    assert outcome.dropped == tuple(str(places / "a" / "run" / name) for name in OLDER)
    assert [it.path for it in outcome.skipped] == [str(places / "b" / "run" / name) for name in OLDER]
    assert {it.why for it in outcome.skipped} == {caught.value.text}
    assert checkpoints_in(places / "b" / "run") == NAMES


def test_what_keeps_the_first_place_from_being_pruned_ends_it(places: Path) -> None:
    plan = plan_prune([places / "a", places / "b"], keep_last=1)
    with acquire_lock(require_writable(open_store(str(places / "a"))), "prune"), pytest.raises(Locked):
        plan.apply()
    assert checkpoints_in(places / "b" / "run") == NAMES


def test_a_refusal_names_the_place_only_where_it_is_the_only_one(places: Path) -> None:
    def path_of(*names: str) -> str | None:
        job = make_prune_job(PruneRequest(PolicyOptions(keep_last=1, max_delete=1)), [open_store(it) for it in names])
        refusal = find_refusal(job, plan_stores(job))
        assert refusal is not None
        assert refusal.id == "max-delete"
        return refusal.path

    assert (path_of("a"), path_of("a", "b")) == ("a", None)
