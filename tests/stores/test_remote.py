from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import fsspec
import pytest

from ckptctl.errors import MissingLibrary, PathMissing, StorageFailed, UsageError
from ckptctl.stores import ReadStore, open_store
from tests.stores.contract import TREE, StoreContract

HAS_S3 = importlib.util.find_spec("s3fs") is not None
HAS_SERVER = HAS_S3 and importlib.util.find_spec("moto") is not None
NUMBERS = count(1)


class RemoteContract(StoreContract):
    """Keys put by fsspec itself; no links."""

    has_links = False
    is_writable = False
    place = ""

    def make(self, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> ReadStore:
        assert not links
        url = f"{self.place}{next(NUMBERS)}."
        write(url, files)
        write(f"{url}0", {"of-the-neighbour.ckpt": b""})
        return open_store(url)

    def put(self, store: ReadStore, path: str, data: bytes) -> None:
        write(store.url, {path: data})


class TestFsspecMemory(RemoteContract):
    place = "memory://contract/run"


def write(url: str, files: Mapping[str, bytes]) -> None:
    system, root = fsspec.core.url_to_fs(url)
    for path, data in files.items():
        system.pipe_file(f"{root}/{path}", data)


def paths(store: ReadStore) -> list[tuple[str, str]]:
    return [(entry.path, entry.kind) for folder in store.walk(stat=True) for entry in folder.entries]


def test_nothing_below_a_prefix_is_a_missing_path() -> None:
    write("memory://known", {"a.ckpt": b""})
    with pytest.raises(PathMissing) as caught:
        open_store("memory://know")
    assert (caught.value.exit_code, caught.value.path) == (4, "memory://know")


def test_an_object_where_a_folder_is_meant_is_a_usage_error_with_the_folder_as_hint() -> None:
    write("memory://run", {"a.ckpt": b""})
    with pytest.raises(UsageError, match="object") as caught:
        open_store("memory://run/a.ckpt")
    assert caught.value.hint == "name its folder: 'memory://run'"


def test_a_trailing_slash_makes_no_difference() -> None:
    write("memory://slash", {"a.ckpt": b""})
    assert paths(open_store("memory://slash/")) == [("a.ckpt", "file")]


@pytest.mark.parametrize("url", ["nonsense://x/y", "simplecache::memory://x"])
def test_an_unknown_scheme_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="unknown kind of URL"):
        open_store(url)


def test_a_local_name_with_a_scheme_in_it_is_a_local_name() -> None:
    with pytest.raises(PathMissing):
        open_store("./odd://name")


def test_glob_letters_in_the_url_itself_are_literal() -> None:
    write("memory://globs", {"run[1]/a.ckpt": b"", "run1/b.ckpt": b"", "run*/c.ckpt": b""})
    assert paths(open_store("memory://globs/run[1]")) == [("a.ckpt", "file")]
    assert paths(open_store("memory://globs/run*")) == [("c.ckpt", "file")]


@pytest.mark.skipif(HAS_S3, reason="s3fs is installed")
def test_without_s3fs_the_hint_says_how_to_install_it() -> None:
    with pytest.raises(MissingLibrary) as caught:
        open_store("s3://bucket/run")
    assert (caught.value.exit_code, caught.value.hint) == (2, "pip install 'ckptctl[s3]'")


def test_without_its_library_another_store_says_what_it_needs() -> None:
    if importlib.util.find_spec("gcsfs") is not None:
        pytest.skip("gcsfs is installed")
    with pytest.raises(MissingLibrary) as caught:
        open_store("gs://bucket/run")
    assert "gcsfs" in str(caught.value.hint)


def test_a_store_that_cannot_be_reached_failed_with_a_cause_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(StorageFailed) as caught:
        open_store(f"ftp://127.0.0.1:{port}/run")
    assert caught.value.exit_code == 9
    assert caught.value.text
    assert "\n" not in caught.value.text


class Broken(fsspec.AbstractFileSystem):
    """A storage library with an error of its own, told in two lines; one object can be seen."""

    protocol = "broken"

    def find(self, path: str, **_: object) -> dict[str, dict[str, object]]:
        if path == "all":
            raise RuntimeError("the first line\nthe second")
        return {f"{path}/a": self.info(f"{path}/a")}

    def info(self, path: str, **_: object) -> dict[str, object]:
        return {"name": path, "size": 1, "type": "file"}

    def cat_file(self, path: str, **_: object) -> bytes:
        raise RuntimeError(f"{path} cannot be read\nthe second")


@pytest.fixture
def _broken() -> None:
    fsspec.register_implementation("broken", Broken, clobber=True)


@pytest.mark.usefixtures("_broken")
def test_an_error_of_a_library_is_failed_storage_told_in_its_first_line() -> None:
    with pytest.raises(StorageFailed) as caught:
        open_store("broken://all")
    assert (caught.value.text, caught.value.path) == ("the first line", "broken://all")


@pytest.mark.usefixtures("_broken")
def test_an_error_of_a_library_while_reading_is_an_os_error() -> None:
    with open_store("broken://some").open("a") as file, pytest.raises(OSError, match=r"some/a cannot be read$"):
        file.read(0, 1)


def test_local_paths_never_load_fsspec() -> None:
    code = (
        "import sys; from ckptctl.stores import open_store; list(open_store('.').walk(stat=True)); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {"ckptctl.stores.local", "fsspec"} & set(done.stdout.split()) == {"ckptctl.stores.local"}


# A real server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a moto server in a process of its own, that s3fs finds through the environment."""
    if not HAS_SERVER:
        pytest.skip("needs moto[server] and s3fs")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port, process)
            fsspec.filesystem("s3").mkdir("bucket")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    pytest.fail("the moto server did not start")


@pytest.fixture(scope="module")
def many(server: str) -> str:
    """A prefix on the server with 2,002 keys, in three folders."""
    assert server
    keys = {"one": 1, "thousand": 1000, "more": 1001}
    names = [f"bucket/many/{folder}/run{n % 7}/{n}.ckpt" for folder, number in keys.items() for n in range(number)]
    fsspec.filesystem("s3").pipe(dict.fromkeys(names, b"x"), batch_size=32)
    return "s3://bucket/many"


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The S3 requests made from here on, by their names."""
    s3fs = pytest.importorskip("s3fs")
    made: list[str] = []
    call = vars(s3fs.S3FileSystem)["_call_s3"]

    async def noted(self: Any, method: str, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - passed through
        made.append(method)
        return await call(self, method, *rest, **named)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", noted)
    return made


@pytest.mark.s3
@pytest.mark.usefixtures("server")
class TestS3(RemoteContract):
    place = "s3://bucket/contract/run"


@pytest.mark.s3
@pytest.mark.usefixtures("server")
class TestS3Requests:
    @pytest.mark.parametrize(
        ("below", "keys", "lists"), [("/one", 1, 1), ("/thousand", 1000, 1), ("/more", 1001, 2), ("", 2002, 3)]
    )
    def test_a_listing_takes_one_request_for_a_thousand_keys_and_no_other(
        self, many: str, below: str, keys: int, lists: int, requests: list[str]
    ) -> None:
        found = [kind for _, kind in paths(open_store(many + below)) if kind == "file"]
        assert (len(found), requests) == (keys, ["list_objects_v2"] * lists)

    def test_one_read_is_two_requests(self, requests: list[str]) -> None:
        write("s3://bucket/read", {"a.ckpt": b"0123456789"})
        store = open_store("s3://bucket/read")
        requests.clear()
        with store.open("a.ckpt") as file:
            file.read(2, 3)
        assert requests == ["head_object", "get_object"]

    def test_a_read_past_the_end_is_no_request(self, requests: list[str]) -> None:
        write("s3://bucket/past", {"a.ckpt": b"0123456789"})
        with open_store("s3://bucket/past").open("a.ckpt") as file:
            requests.clear()
            assert [file.read(10, 1), file.read(99, 5), file.read(3, 0)] == [b""] * 3
        assert requests == []


@pytest.mark.s3
@pytest.mark.usefixtures("server")
class TestS3Keys:
    def test_identity_is_the_etag_and_changes_with_the_content(self) -> None:
        write("s3://bucket/etag", {"a": b"one"})
        before = open_store("s3://bucket/etag").stat("a").identity
        write("s3://bucket/etag", {"a": b"two"})
        after = next(iter(open_store("s3://bucket/etag").walk(stat=True))).entries[0].identity
        assert before == "f97c5d29941bfb1b2fdab0874906ab82"  # of an object put whole, the MD5
        assert after == "b8a9f715dbb64fd5c56e7783c6820a61"

    def test_odd_keys_are_kept_as_they_are(self) -> None:
        put_keys("odd/", ["a//b.ckpt", "c d/[1]*.ckpt", "e/", "e/f.ckpt", "empty/", "g/../h.ckpt", "+%2F&=.ckpt"])
        assert paths(open_store("s3://bucket/odd")) == [
            ("+%2F&=.ckpt", "file"),
            ("a", "dir"),
            ("c d", "dir"),
            ("e", "dir"),
            ("empty", "dir"),
            ("g", "dir"),
            ("a/", "dir"),
            ("a//b.ckpt", "file"),
            ("c d/[1]*.ckpt", "file"),
            ("e/f.ckpt", "file"),
            ("g/..", "dir"),
            ("g/../h.ckpt", "file"),
        ]

    def test_odd_keys_are_read_as_they_are(self) -> None:
        keys = ["a//b.ckpt", "[1]*.ckpt", "a b+c%20.ckpt", "g/../h.ckpt"]
        put_keys("oddread/", [*keys, "1.ckpt", "a/b.ckpt", "h.ckpt"])
        store = open_store("s3://bucket/oddread")
        for key in keys:
            with store.open(key) as file:
                assert file.read(0, 99) == key.encode()

    def test_a_key_that_its_library_would_take_for_another_is_not_found(self) -> None:
        put_keys("version/", ["a.ckpt", "a.ckpt?versionId=1"])
        store = open_store("s3://bucket/version")
        assert len(paths(store)) == 2
        with pytest.raises(FileNotFoundError, match="cannot be named"), store.open("a.ckpt?versionId=1"):
            pass

    def test_a_marker_of_a_folder_without_a_name_keeps_its_slash(self) -> None:
        put_keys("slashes/", ["a//"])
        folders = [folder.path for folder in open_store("s3://bucket/slashes").walk(stat=True)]
        assert folders == ["", "a", "a/"]

    def test_a_marker_alone_makes_an_empty_folder(self) -> None:
        put_keys("marker/", [""])
        folders = list(open_store("s3://bucket/marker").walk(stat=True))
        assert [(folder.path, folder.entries) for folder in folders] == [("", [])]

    def test_a_key_with_a_thousand_slashes_is_listed(self) -> None:
        put_keys("deep/", ["/".join(["d"] * 500)])
        assert len(list(open_store("s3://bucket/deep").walk(stat=False))) == 500

    def test_a_whole_bucket_can_be_opened(self) -> None:
        fsspec.filesystem("s3").mkdir("another")
        assert paths(open_store("s3://another")) == []
        write("s3://another", TREE)
        assert len(paths(open_store("s3://another"))) == len(TREE) + 4

    @pytest.mark.parametrize("url", ["s3://bucket/none", "s3://no-such-bucket", "s3://no-such-bucket/run"])
    def test_a_missing_bucket_or_prefix_is_a_missing_path(self, url: str) -> None:
        with pytest.raises(PathMissing) as caught:
            open_store(url)
        assert caught.value.path == url

    def test_no_bucket_at_all_is_a_usage_error(self) -> None:
        with pytest.raises(UsageError):
            open_store("s3://")

    def test_a_server_that_does_not_answer_is_failed_storage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(StorageFailed, match="Could not connect") as caught:
            open_store("s3://bucket/run")
        assert "\n" not in caught.value.text

    def test_missing_credentials_are_failed_storage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StorageFailed, match=r"(?i)credentials"):
            open_store("s3://bucket/run")


def put_keys(prefix: str, keys: list[str]) -> None:
    """Put each key with itself as its content, past what s3fs does to names."""
    system = fsspec.filesystem("s3")
    for key in keys:
        system.call_s3("put_object", Bucket="bucket", Key=prefix + key, Body=key.encode())
