import contextlib
import gzip
import hashlib
import http.server
import resource
import shutil
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from conftest import tiny_entry
from mnist_hpc.data import download, idx
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import RAW_FILES


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; counts requests; may fail the first of them, or send half of what it promises."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if len(self.server.requests) <= self.server.failures:
            self.send_error(503)
        elif self.server.redirect:
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
        elif self.server.endless:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # until the other side has had enough
                while True:
                    self.wfile.write(bytes(1 << 16))
        elif self.server.half:
            content = (Path(self.directory) / self.path.lstrip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        else:
            super().do_GET()

    def end_headers(self):
        if self.server.encoding:
            self.send_header("Content-Encoding", self.server.encoding)
        super().end_headers()

    def log_message(self, *arguments):
        """Keep the test's output readable."""


@pytest.fixture
def serve():
    """Return a function that serves a folder on loopback and returns the server, its address in ``url``."""
    servers = []

    def start(folder, *, failures=0, half=False, redirect=None, endless=False):
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *arguments: Handler(*arguments, directory=str(folder))
        )
        server.requests, server.failures, server.half = [], failures, half
        server.redirect, server.endless, server.encoding = redirect, endless, None
        server.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_folder_and_no_pauses(monkeypatch):
    monkeypatch.delenv("TINY_DIR", raising=False)
    monkeypatch.setattr("urllib3.util.retry.time.sleep", lambda _: None)


def fetch(folder, mirrors=(), search_path=(), timeout=5.0, attempts=2, **changes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "TIMEOUT", timeout)
        patch.setattr(download, "ATTEMPTS", attempts)
        download.fetch("tiny", tiny_entry(mirrors=list(mirrors), **changes), folder, search_path)


def test_files_come_from_a_mirror(tiny, tmp_path, serve):
    fetch(tmp_path / "out", [serve(tiny).url])
    for key, file in tiny_entry()["files"].items():
        assert (tmp_path / "out" / RAW_FILES[key]).read_bytes() == (tiny / file["name"]).read_bytes()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(RAW_FILES.values())


def test_the_named_folder_comes_before_the_search_path_and_that_before_mirrors(tiny, tmp_path, serve, monkeypatch):
    server = serve(tiny)
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    other.joinpath("train-labels.gz").unlink()
    monkeypatch.setenv("TINY_DIR", str(other))
    fetch(tmp_path / "out", [server.url], [str(tmp_path / "nowhere"), str(tiny)])
    assert server.requests == []
    fetch(tmp_path / "out2", [server.url])
    assert server.requests == ["/train-labels.gz"]


def test_a_busy_mirror_is_asked_again(tiny, tmp_path, serve):
    server = serve(tiny, failures=1)
    fetch(tmp_path / "out", [server.url])
    assert server.requests.count("/train-images.gz") == 2


def test_a_mirror_that_stays_busy_is_left_after_the_last_attempt(tiny, tmp_path, serve):
    server = serve(tiny, failures=100)
    with pytest.raises(UserError, match="the server answered 503 Service Unavailable"):
        fetch(tmp_path / "out", [server.url], attempts=3)
    assert len(server.requests) == 3


def test_a_body_that_is_cut_short_is_reported(tiny, tmp_path, serve):
    size = (tiny / "train-images.gz").stat().st_size
    with pytest.raises(UserError, match=rf"IncompleteRead\({size // 2} bytes read, {size - size // 2} more expected\)"):
        fetch(tmp_path / "out", [serve(tiny, half=True).url])
    assert list((tmp_path / "out").iterdir()) == []


def test_a_broken_mirror_is_passed_over(tiny, tmp_path, serve):
    pages = tmp_path / "pages"
    pages.mkdir()
    for file in tiny_entry()["files"].values():
        (pages / file["name"]).write_text("<html>Please log in</html>")
    fetch(tmp_path / "out", [serve(pages).url, serve(tiny, half=True).url, serve(tiny).url])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(RAW_FILES.values())


def test_when_nothing_works_every_place_is_named_with_its_reason(tiny, tmp_path, serve):
    missing = serve(tmp_path / "empty")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        hangs = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with socket.create_server(("127.0.0.1", 0)) as closed:
            refuses = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        (tiny / "train-images.gz").write_bytes(b"<html>")
        with pytest.raises(UserError) as error:
            fetch(tmp_path / "out", [missing.url, hangs, refuses], [str(tiny), "/nowhere"], timeout=1.0)
    text = str(error.value)
    assert "TINY_DIR is not set" in text
    assert f"{tiny}: train-images.gz: expected a gzip file" in text
    assert "/nowhere: train-images.gz: No such file or directory" in text
    assert f"{missing.url}: train-images.gz: the server answered 404" in text
    assert f"{hangs}: train-images.gz: timed out (at most 2 attempts, time-out 1 s)" in text
    assert f"{refuses}: train-images.gz: " in text
    assert "refused" in text
    for way in ("(1) set TINY_DIR", "(2) add such a folder to search_path", "(3) run without a download"):
        assert way in text
    assert "\n" not in text
    # What the folder does have is there.
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {name for key, name in RAW_FILES.items() if key != "train_images"}


def test_swapped_images_and_labels_are_refused(tiny, tmp_path):
    images, labels = tiny / "train-images.gz", tiny / "train-labels.gz"
    images.rename(tiny / "x")
    labels.rename(images)
    (tiny / "x").rename(labels)
    with pytest.raises(UserError, match=r"expected IDX uint8 \(40, 28, 28\), found IDX uint8 \(40,\)"):
        fetch(tmp_path / "out", search_path=[str(tiny)])


def test_a_wrong_checksum_is_refused_and_a_right_one_accepted(tiny, tmp_path):
    files = tiny_entry()["files"]
    payload = gzip.decompress((tiny / "train-labels.gz").read_bytes())
    files["train_labels"]["sha256"] = hashlib.sha256(payload).hexdigest()
    fetch(tmp_path / "out", search_path=[str(tiny)], files=files)
    changed = np.frombuffer(payload, np.uint8, offset=8) ^ 1
    (tiny / "train-labels.gz").write_bytes(gzip.compress(idx.encode(changed)))
    with pytest.raises(UserError, match=r"train-labels\.gz: expected a payload with SHA-256"):
        fetch(tmp_path / "out2", search_path=[str(tiny)], files=files)


def test_a_recompressed_file_is_the_same_file(tiny, tmp_path):
    files = tiny_entry()["files"]
    payload = gzip.decompress((tiny / "test-images.gz").read_bytes())
    files["test_images"]["sha256"] = hashlib.sha256(payload).hexdigest()
    (tiny / "test-images.gz").write_bytes(gzip.compress(payload, compresslevel=1))
    fetch(tmp_path / "out", search_path=[str(tiny)], files=files)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "//[bad"])
def test_a_redirect_to_a_file_or_another_scheme_is_refused(tiny, tmp_path, serve, address):
    with pytest.raises(UserError) as caught:
        fetch(tmp_path / "out", [serve(tiny, redirect=address).url], attempts=1)
    assert "root:" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_mirror_that_never_stops_is_left_early(tiny, tmp_path, serve):
    fetch(tmp_path / "out", [serve(tiny, endless=True).url, serve(tiny).url])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(RAW_FILES.values())


def test_a_folder_in_the_place_of_a_file_is_reported(tiny, tmp_path):
    (tiny / "train-images.gz").unlink()
    (tiny / "train-images.gz").mkdir()
    with pytest.raises(UserError, match=r"train-images\.gz: Is a directory"):
        fetch(tmp_path / "out", search_path=[str(tiny)])


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_server_may_call_the_files_gzip_an_encoding_of_the_transfer(tiny, tmp_path, serve, encoding):
    server = serve(tiny)
    server.encoding = encoding
    fetch(tmp_path / "out", [server.url])
    for key, file in tiny_entry()["files"].items():
        found, expected = tmp_path / "out" / RAW_FILES[key], tiny / file["name"]
        assert gzip.decompress(found.read_bytes()) == gzip.decompress(expected.read_bytes())


def test_each_file_comes_from_the_first_folder_that_has_it(tiny, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.move(tiny / "train-images.gz", other)
    for number, folders in enumerate([(tiny, other), (other, tiny), ("~nobody-has-this-name", tiny, other)]):
        fetch(tmp_path / str(number), search_path=[str(folder) for folder in folders])
        assert len(list((tmp_path / str(number)).iterdir())) == 4


def test_a_damaged_gzip_file_is_called_damaged(tiny, tmp_path):
    content = bytearray((tiny / "train-images.gz").read_bytes())
    content[-6] ^= 1  # the checksum
    (tiny / "train-images.gz").write_bytes(content)
    with pytest.raises(UserError, match="the gzip file is cut short or damaged"):
        fetch(tmp_path / "out", search_path=[str(tiny)])


@pytest.mark.parametrize("mirror", [False, True])
def test_a_target_that_cannot_be_written_is_named_and_not_the_source(tiny, tmp_path, serve, mirror):
    places = {"mirrors": [serve(tiny).url]} if mirror else {"search_path": [str(tiny)]}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as a full disk
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            fetch(tmp_path / "out", **places)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / "out" / RAW_FILES["train_images"])
    assert list((tmp_path / "out").iterdir()) == []
