from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from tests.cli.calls import (
    BEST,
    LAST,
    NAMES,
    PROGRAM,
    Answer,
    call,
    checkpoints_in,
    environment,
    listing,
    make_run,
    save,
    state,
)
from tests.cli.schema import BEST as BEST_SCHEMA
from tests.cli.schema import ERROR, EXPORT, LS, misfits

READING = [["ls"], ["ls", "-q"], ["ls", "--runs"], ["best"], ["last"], ["export"], ["export", "--format", "yaml"]]
WRITING = [["prune", "--top-k", "1", "--yes"], ["link", "--best"]]
EVERY = [*READING, *WRITING]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def name_of(words: list[str]) -> str:
    return " ".join(words)


# Paths that are none


@pytest.mark.parametrize("words", EVERY, ids=name_of)
def test_a_missing_path_is_told_with_its_likeliest_neighbour(run: Path, words: list[str]) -> None:
    answer = call(*words, run.parent.parent / "rums")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err == (
        f"ckptctl: error[no-path]: {run.parent.parent}/rums: no such folder\nhint: did you mean '{run.parent}'?\n"
    )


@pytest.mark.parametrize("words", EVERY, ids=name_of)
def test_a_file_where_a_folder_is_meant_is_a_usage_error(run: Path, words: list[str]) -> None:
    answer = call(*words, run / BEST)
    assert (answer.code, answer.out) == (2, "")
    assert f"{run / BEST}: is a file, not a folder" in answer.err
    assert f"hint: name its folder: '{run}'" in answer.err


@pytest.mark.parametrize("words", EVERY, ids=name_of)
def test_an_empty_path_is_a_usage_error(words: list[str]) -> None:
    answer = call(*words, "")
    assert (answer.code, answer.out) == (2, "")
    assert "an empty path: is a variable unset?" in answer.err


@pytest.mark.parametrize("words", READING, ids=name_of)
@pytest.mark.parametrize("content", [None, "notes.txt"], ids=["empty", "without checkpoints"])
def test_a_folder_with_nothing_to_find_is_no_checkpoint(tmp_path: Path, words: list[str], content: str | None) -> None:
    if content:
        (tmp_path / content).write_text("")
    answer = call(*words, tmp_path)
    assert (answer.code, answer.out) == (4, "")
    assert f"error[no-checkpoint]: {tmp_path}: no checkpoint found" in answer.err


def test_a_path_that_is_a_link_is_followed_and_shown_as_typed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "now").symlink_to(run)
    assert call("last", tmp_path / "now").lines == [f"{tmp_path}/now/{LAST}"]


@pytest.mark.parametrize("target", ["loop", "gone"])
def test_a_path_that_leads_nowhere_is_told(tmp_path: Path, target: str) -> None:
    (tmp_path / "loop").symlink_to(target)
    answer = call("ls", tmp_path / "loop")
    assert answer.code in (4, 9)
    assert answer.err.startswith("ckptctl: error[")


# Errors in JSON


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (["ls", "{}/none"], 4, "no-path"),
        (["best", "{}", "--monitor", "bleu"], 4, "no-score"),
        (["last", "{}", "--resumable", "--layout", "keras"], 4, "no-checkpoint"),
        (["prune", "{}"], 2, "usage"),
        (["prune", "{}", "--top-k", "1"], 6, "no-consent"),
        (["ls", "--nonsense"], 2, "usage"),
    ],
    ids=["path", "score", "checkpoint", "rule", "consent", "flag"],
)
def test_an_error_is_json_where_json_was_asked_for(run: Path, words: list[str], code: int, name: str) -> None:
    answer = call(*(word.format(run) for word in words), "--json")
    assert misfits({"error": answer.error}, ERROR) == []
    assert (answer.code, answer.error["exit_code"], answer.error["id"]) == (code, code, name)


def test_a_path_that_is_not_utf_8_has_its_bytes_beside_it_in_an_error(tmp_path: Path) -> None:
    answer = call("ls", f"{tmp_path}/x\udcff", "--json")
    assert misfits({"error": answer.error}, ERROR) == []
    assert answer.error["path"].endswith("x\\xff")
    assert answer.error["path_b64"]


# Broken files among good ones


def test_a_broken_yaml_is_warned_of_once_and_the_listing_goes_on(run: Path) -> None:
    (run / "best_k_models.yaml").write_text("{[")
    answer = call("ls", run)
    assert answer.code == 0
    assert [row["path"] for row in answer.rows] == [str(run / name) for name in NAMES]
    (line,) = answer.err.splitlines()
    assert line.startswith(f"warning: {run}")
    assert "best_k_models.yaml: not YAML" in line


@pytest.mark.parametrize("content", [b"a,b\n\0\0", b'"\n', b"\xff\xfe\x00", b"epoch,step\n1e999,x\n"])
def test_a_broken_csv_is_no_reason_to_stop(run: Path, content: bytes) -> None:
    (run / "metrics.csv").write_bytes(content)
    answer = call("ls", run)
    assert answer.code == 0
    assert [row["value"] for row in answer.rows] == ["0.5", "0.4", "0.3", "0.35"]
    assert all("metrics.csv" in line for line in answer.err.splitlines())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"", "damaged", id="empty"),
        pytest.param(b"\0" * 5000, "damaged", id="zeros"),
        pytest.param(b"PK\3\4", "damaged", id="begun"),
        pytest.param(state()[:-40], "damaged", id="cut"),
        pytest.param(state()[40:], "unknown", id="beheaded"),
        pytest.param(b"\x7fELF" + bytes(range(256)), "unknown", id="something else"),
    ],
)
def test_a_broken_checkpoint_is_shown_never_best_and_never_pruned(run: Path, content: bytes, told: str) -> None:
    name = "epoch=9-step=900-val_loss=0.01.ckpt"
    save(run, [name], content)
    states = {Path(row["path"]).name: row["state"] for row in call("ls", run).rows}
    assert states == {**dict.fromkeys(NAMES, "complete"), name: told}
    assert call("best", run).lines == [f"{run}/{BEST}"]
    assert call("last", run).lines == [f"{run}/{LAST}"]
    assert call("prune", run, "--top-k", "1", "--yes").code == 0
    assert checkpoints_in(run) == sorted([BEST, LAST, name])


def test_a_pipe_with_the_name_of_a_checkpoint_is_a_stray_and_nobody_waits_for_it(run: Path) -> None:
    os.mkfifo(run / "epoch=9-step=900-val_loss=0.01.ckpt")
    (found,) = call("ls", run, "--json").json["runs"]
    assert [it["path"] for it in found["checkpoints"]] == NAMES
    assert found["strays"] == [{"path": "epoch=9-step=900-val_loss=0.01.ckpt", "why": "neither a file nor a folder"}]
    for words in EVERY:
        assert call(*words, run).code == 0
    assert (run / "epoch=9-step=900-val_loss=0.01.ckpt").is_fifo()


@pytest.mark.parametrize("name", ["best_k_models.yaml", "metrics.csv"])
def test_a_pipe_with_the_name_of_a_side_file_is_not_read(run: Path, name: str) -> None:
    os.mkfifo(run / name)
    assert [row["value"] for row in call("ls", run).rows] == ["0.5", "0.4", "0.3", "0.35"]


# Links


def test_links_that_loop_or_dangle_or_lead_out_are_states(run: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.ckpt").write_bytes(state())
    for name, target in {
        "dangling.ckpt": "gone.ckpt",
        "loop.ckpt": "loop.ckpt",
        "moved.ckpt": f"/old/place/{BEST}",
        "out.ckpt": str(tmp_path / "outside.ckpt"),
        "right.ckpt": str(run / BEST),
    }.items():
        (run / name).symlink_to(target)
    document = call("ls", run, "--json").json
    assert misfits(document, LS) == []
    assert {it["path"]: (it["target"], it["state"]) for it in document["runs"][0]["pointers"]} == {
        "dangling.ckpt": (None, "dangling"),
        "loop.ckpt": (None, "loop"),
        "moved.ckpt": (BEST, "dangling"),
        "out.ckpt": (None, "outside"),
        "right.ckpt": (BEST, "ok"),
    }
    before = {name: digest for name, digest in listing(run).items() if name not in NAMES[:2]}
    assert call("prune", run, "--top-k", "1", "--yes").code == 0
    assert listing(run) == before


def test_a_linked_folder_is_not_entered(run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "elsewhere")
    (run / "more").symlink_to(other)
    before = listing(other)
    assert call("ls", run, "-q").lines == [str(run / name) for name in NAMES]
    assert call("prune", run, "--top-k", "1", "--yes").code == 0
    assert listing(other) == before
    assert os.readlink(run / "more") == str(other)


# Folders that may not be read


@pytest.fixture
def call_bound(run: Path) -> Iterator[Callable[..., Answer]]:
    """Call as one whom permissions bind, as they do everyone but root; skips where that cannot be had."""
    powers = "-dac_override,-dac_read_search"
    bound = ["setpriv", "--bounding-set", powers, "--inh-caps", powers] if os.geteuid() == 0 else []
    if bound and shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")

    def call_it(*words: str | Path) -> Answer:
        command = [*bound, *PROGRAM, *map(str, words)]
        ran = subprocess.run(command, env=environment(), capture_output=True, check=False)
        return Answer(ran.returncode, ran.stdout, ran.stderr.decode())

    probe = call_it("--version")
    if probe.code:
        pytest.skip(f"root cannot give up its powers: {probe.err.strip()}")
    yield call_it
    for path in [run, *run.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_root_that_may_not_be_read_is_a_storage_failure(run: Path, call_bound: Callable[..., Answer]) -> None:
    run.chmod(0)
    answer = call_bound("ls", run)
    assert (answer.code, answer.out) == (9, "")
    assert answer.err == f"ckptctl: error[storage]: {run}: permission denied\n"


def test_a_folder_that_may_not_be_read_is_warned_of_and_the_rest_is_listed(
    run: Path, call_bound: Callable[..., Answer]
) -> None:
    folder = run
    make_run(folder / "closed").chmod(0)
    for words, lines in ((["ls", "-q"], 4), (["best"], 1), (["last"], 1), (["export"], 1)):
        answer = call_bound(*words, folder)
        assert (answer.code, len(answer.lines)) == (3, lines)
        assert f"warning: {folder}/closed: " in answer.err
        assert "permission denied" in answer.err
        assert "error[partly-done]: 1 folder could not be listed" in answer.err


def test_prune_refuses_where_a_folder_could_not_be_read(run: Path, call_bound: Callable[..., Answer]) -> None:
    make_run(run / "closed").chmod(0)
    answer = call_bound("prune", run, "--top-k", "1", "--yes")
    assert answer.code == 6
    assert "error[incomplete-listing]" in answer.err
    assert "nothing was deleted" in answer.err
    assert checkpoints_in(run) == NAMES


def test_a_folder_that_may_not_be_changed_is_named_and_left_whole(run: Path, call_bound: Callable[..., Answer]) -> None:
    run.chmod(0o555)
    answer = call_bound("prune", run, "--top-k", "1", "--yes")
    assert answer.code in (3, 9)
    assert "ermission denied" in answer.err
    assert checkpoints_in(run) == NAMES


def test_a_run_that_may_not_be_changed_does_not_keep_the_others_from_it(
    run: Path, call_bound: Callable[..., Answer]
) -> None:
    other = make_run(run.parent / "b")
    run.chmod(0o555)
    answer = call_bound("prune", run.parent, "--top-k", "1", "--yes")
    assert answer.code == 3
    assert "2 failed:" in answer.err
    assert "error[partly-done]: 2 of 4 were not deleted" in answer.err
    assert (checkpoints_in(run), checkpoints_in(other)) == (NAMES, [BEST, LAST])


def test_a_checkpoint_that_may_not_be_read_is_unknown_and_never_pruned(
    run: Path, call_bound: Callable[..., Answer]
) -> None:
    (run / NAMES[0]).chmod(0)
    states = [row["state"] for row in call_bound("ls", run).rows]
    assert states == ["unknown", "complete", "complete", "complete"]
    assert call_bound("prune", run, "--top-k", "1", "--yes").code == 0
    assert checkpoints_in(run) == [NAMES[0], BEST, LAST]


@pytest.mark.mount
def test_a_mount_point_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    make_run(tmp_path / "a")
    prune = " ".join([*PROGRAM, "prune", '"$0"', "--top-k", "1", "--yes"])
    script = f'mount -t tmpfs none "$0" && cp -a "$1"/* "$0" && {prune}; echo $?; ls "$0" | wc -l'
    command = ["unshare", "--mount", "sh", "-c", script, str(place), str(tmp_path / "a")]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["6", "4"]
    assert "error[root-is-mount]" in ran.stderr


@pytest.mark.mount
@pytest.mark.parametrize(
    ("words", "ends"), [("-n", "6 4"), ("--allow-mount -n", "0 4"), ("--allow-mount --yes", "0 2")]
)
def test_a_mount_point_is_pruned_only_where_a_person_says_so(tmp_path: Path, words: str, ends: str) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    make_run(tmp_path / "a")
    prune = " ".join([*PROGRAM, "prune", '"$0"', "--top-k", "1", words])
    script = f'mount -t tmpfs none "$0" && cp -a "$1"/* "$0" && {prune} >&2; echo $?; ls "$0" | wc -l'
    command = ["unshare", "--mount", "sh", "-c", script, str(place), str(tmp_path / "a")]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert " ".join(ran.stdout.split()) == ends, ran.stderr


@pytest.mark.mount
def test_what_is_mounted_below_is_not_entered(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "disk").mkdir()
    make_run(tmp_path / "b")
    program = " ".join(PROGRAM)
    script = f'mount --bind "$1" "$0"/disk && {program} prune "$0" --top-k 1 --yes; echo $?; ls "$0"/disk | wc -l'
    command = ["unshare", "--mount", "sh", "-c", script, str(folder), str(tmp_path / "b")]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert ran.stdout.split()[-2:] == ["0", "4"], ran.stderr
    assert checkpoints_in(folder) == [BEST, LAST]


# Names that try to be more


NASTY = {
    "escape": "\x1b[31m",
    "clipboard": "\x1b]52;c;aGk=\x07",
    "line end": "a\nb",
    "return": "a\rb",
    "tab": "a\tb",
    "c1": "a\x9b1m",
    "bidi": "a\u202egnp",
    "hidden": "a\u200bb",
    "undecodable": "a\udcffb",
}


@pytest.mark.parametrize("odd", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize(
    "words",
    [
        *EVERY,
        ["ls", "--json"],
        ["ls", "--metrics", "--color", "always"],
        ["ls", "--runs", "--color", "always"],
        ["best", "--json"],
        ["best", "--score", "-k", "-1"],
        ["last", "--json"],
        ["prune", "--keep-last", "1", "-n"],
        ["prune", "--keep-last", "1", "-n", "--json"],
        ["export", "--format", "csv"],
        ["export", "--format", "jsonl"],
        ["export", "--format", "markdown"],
    ],
    ids=name_of,
)
def test_no_name_reaches_a_terminal_as_more_than_letters(tmp_path: Path, odd: str, words: list[str]) -> None:
    folder = tmp_path / f"run{odd}"
    save(folder, [f"{odd}-epoch=0-val_loss=0.5.ckpt", f"{odd}-epoch=1-val_loss=0.4.ckpt", "epoch=2-val_loss=0.6.ckpt"])
    (folder / f"notes{odd}").write_text("")
    (folder / f"link{odd}.ckpt").symlink_to(f"gone{odd}.ckpt")
    answer = call(*words, folder)
    assert answer.code == 0, answer.err
    shown = answer.out.replace("\x1b[0m", "") + answer.err
    for style in ("\x1b[1m", "\x1b[2m", "\x1b[1;35m", "\x1b[31m"):
        shown = shown.replace(style, "", shown.count(style) if style != odd and "always" in words else 0)
    assert odd not in shown
    assert all(char.isprintable() or char in "\t\n" for char in shown)


def test_the_paths_of_odd_names_come_with_a_warning(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-val_loss=0.5\n.ckpt"])
    answer = call("best", tmp_path)
    assert answer.lines == [f"{tmp_path}/epoch=0-val_loss=0.5\\n.ckpt"]
    assert answer.err == (
        "warning: 1 name is escaped here, and must not be used as written: -0 gives the exact bytes\n"
    )


@pytest.mark.parametrize("odd", NASTY.values(), ids=NASTY)
def test_json_gives_an_odd_name_back_exactly(tmp_path: Path, odd: str) -> None:
    import base64

    save(tmp_path, [f"{odd}-epoch=0-val_loss=0.5.ckpt"])
    (found,) = call("best", tmp_path, "--json").json["checkpoints"]
    exact = base64.b64decode(found["path_b64"]) if "path_b64" in found else found["path"].encode()
    assert exact == os.fsencode(f"{odd}-epoch=0-val_loss=0.5.ckpt")
    assert ("path_b64" in found) == (odd == NASTY["undecodable"])


def test_a_name_that_begins_with_a_dash_is_no_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, ["-rf epoch=0-val_loss=0.5.ckpt"])
    monkeypatch.chdir(tmp_path)
    assert call("best").lines == ["./-rf epoch=0-val_loss=0.5.ckpt"]
    save(tmp_path / "-n", NAMES)
    assert call("last", "--", "-n").lines == [f"-n/{LAST}"]


def test_odd_names_are_pruned_like_any_other(tmp_path: Path) -> None:
    odd = [f"epoch={epoch}-val_loss=0.{9 - epoch}{part}.ckpt" for epoch, part in enumerate(NASTY.values())]
    save(tmp_path, odd)
    assert call("prune", tmp_path, "--keep-last", "1", "--yes").code == 0
    assert sorted(os.listdir(tmp_path)) == [odd[-1]]


# Object stores


@pytest.fixture
def bucket() -> Iterator[str]:
    files = fsspec.filesystem("memory")
    for name in NAMES:
        files.pipe_file(f"/bucket/run/{name}", state())
    yield "memory://bucket/run"
    files.rm("/bucket", recursive=True)


def test_an_object_store_is_listed_ranked_and_exported(bucket: str) -> None:
    assert call("ls", bucket, "-q").lines == [f"{bucket}/{name}" for name in NAMES]
    assert misfits(call("ls", bucket, "--json").json, LS) == []
    assert call("best", bucket).lines == [f"{bucket}/{BEST}"]
    assert misfits(call("best", bucket, "--json").json, BEST_SCHEMA) == []
    assert call("last", bucket).lines == [f"{bucket}/{LAST}"]
    assert misfits(call("export", bucket).json, EXPORT) == []
    assert f"{bucket}/{BEST}: 0.3\n" in call("export", bucket, "--format", "yaml").out


@pytest.mark.parametrize(
    "words",
    [["prune", "--top-k", "1", "--yes"], ["prune", "--top-k", "1"], ["link", "--best"], ["best", "--link", "best"]],
    ids=name_of,
)
def test_an_object_store_is_not_changed(bucket: str, words: list[str]) -> None:
    files = fsspec.filesystem("memory")
    before = files.find("/bucket")
    answer = call(*words, bucket)
    assert answer.code == 6
    assert f"error[read-only-store]: {bucket}: object stores are read-only for now" in answer.err
    assert files.find("/bucket") == before


def test_a_plan_for_an_object_store_may_be_seen(bucket: str) -> None:
    answer = call("prune", bucket, "--top-k", "1", "-n")
    assert answer.code == 0
    assert "Would delete 2 checkpoints in 1 run" in answer.err


def test_a_bucket_that_is_not_there_is_a_missing_path() -> None:
    answer = call("ls", "memory://nobody/nothing")
    assert answer.code == 4
    assert answer.err.startswith("ckptctl: error[no-path]: memory://nobody/nothing: no such bucket or folder")


@pytest.mark.parametrize("url", ["nonsense://a/b", "://a", "http//a"])
def test_a_url_that_is_none_is_told(url: str) -> None:
    answer = call("ls", url)
    assert answer.code in (2, 4)
    assert answer.err.startswith("ckptctl: error[")


# Standard output that is no more


def test_a_reader_that_leaves_ends_it_without_a_word(tmp_path: Path) -> None:
    save(tmp_path, (f"epoch={epoch}-step={epoch}-val_loss=0.5.ckpt" for epoch in range(3000)), b"")
    program = " ".join(PROGRAM)
    for flags in ("", "-q", "-0", "--json"):
        script = f'{{ {program} ls "$0" {flags}; echo $? >&2; }} | head -c 10'
        ran = subprocess.run(["sh", "-c", script, tmp_path], env=environment(), capture_output=True, check=False)
        assert ran.stderr == b"141\n"


def test_a_reader_that_has_left_before_a_prune_stops_it(run: Path) -> None:
    program = " ".join(PROGRAM)
    script = f'{{ sleep 0.5; {program} prune "$0" --top-k 1 --yes; echo $? >&2; }} | true'
    ran = subprocess.run(["sh", "-c", script, run], env=environment(), capture_output=True, check=False)
    assert ran.stderr == b"141\n"
    assert checkpoints_in(run) == NAMES


def test_a_reader_of_both_streams_that_leaves_is_no_bug(run: Path) -> None:
    program = " ".join(PROGRAM)
    script = f'{{ {program} prune "$0" --top-k 1 --yes 2>&1; echo $? >&3; }} 3>&2 | head -c 10'
    ran = subprocess.run(["sh", "-c", script, run], env=environment(), capture_output=True, check=False)
    assert ran.stderr == b"141\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"], ids=["output", "errors", "all"])
def test_a_prune_that_is_started_without_its_streams_does_its_work(run: Path, closed: str) -> None:
    script = f'{" ".join(PROGRAM)} prune "$0" --top-k 1 --yes {closed}'
    ran = subprocess.run(["sh", "-c", script, run], env=environment(), capture_output=True, text=True, check=False)
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False)
    assert checkpoints_in(run) == [BEST, LAST]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_a_storage_failure(run: Path) -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run([*PROGRAM, "ls", run], env=environment(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 9
    assert ran.stderr == b"ckptctl: error[storage]: No space left on device\n"


def test_a_bug_is_not_hidden(run: Path) -> None:
    breaks = "import ckptctl.core.ranking; ckptctl.core.ranking.rank = None"
    code = f"import sys; {breaks}; from ckptctl.cli.main import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "ls", str(run)]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "Traceback" in ran.stderr
