"""A fetched trace is whole and the one published, or it is not there; no test leaves this machine."""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from simlora.errors import ConfigError, TraceError
from simlora.study.fetching import fetch, find_download, target_of, terms
from simlora.workload.catalogue import list_traces
from simlora.workload.downloads import DOWNLOADS, Download

CONTENT = bytes(range(256)) * 400


class Server(ThreadingHTTPServer):
    """Serves CONTENT; ``breaks_at`` ends the first answer early, ``ranges`` says whether it honours ranges."""

    breaks_at: int | None = None
    ranges = True
    says_length = False
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if self.path == "/absent":
            self.send_error(404)
        elif start >= len(CONTENT):
            self.send_error(416)
        else:
            self.send_response(206 if start else 200)
            if self.server.says_length:
                self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            end, self.server.breaks_at = self.server.breaks_at, None
            self.wfile.write(CONTENT[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    one = Server(("127.0.0.1", 0), Handler)
    one.asked = []
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()


@pytest.fixture
def download(server):
    url = f"http://127.0.0.1:{server.server_address[1]}/trace"
    return Download(url, "traces/t/t.bin.gz", "CC", "Me", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def test_it_is_packed_under_the_data_folder_and_nothing_else_is_left(download, tmp_path):
    target, told = target_of(download, tmp_path), []
    fetch(download, target, told.append)
    assert gzip.decompress(target.read_bytes()) == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["t.bin.gz"]
    assert told[-1] == len(CONTENT)
    again = target.read_bytes()
    target.unlink()
    fetch(download, target, told.append)
    assert target.read_bytes() == again


@pytest.mark.parametrize("ranges", [True, False])
def test_it_goes_on_where_it_broke_off(server, download, tmp_path, ranges):
    server.breaks_at, server.ranges = 1000, ranges
    target = target_of(download, tmp_path)
    with pytest.raises(TraceError, match="broke off at 1,000 of 102,400 bytes"):
        fetch(download, target, lambda _: None)
    assert not target.exists()
    fetch(download, target, lambda _: None)
    assert server.asked == [None, "bytes=1000-"]
    assert gzip.decompress(target.read_bytes()) == CONTENT


def test_a_broken_transfer_is_seen_by_its_length(server, download, tmp_path):
    server.breaks_at, server.says_length = 1000, True
    plain = replace(download, sha256=None, bytes=None, file="traces/t/t.rar")
    with pytest.raises(TraceError, match="broke off at 1,000 of 102,400 bytes"):
        fetch(plain, target_of(plain, tmp_path), lambda _: None)
    fetch(plain, target_of(plain, tmp_path), lambda _: None)
    assert (tmp_path / plain.file).read_bytes() == CONTENT


def test_a_whole_part_needs_no_more_than_a_check(server, download, tmp_path):
    target = target_of(download, tmp_path)
    target.parent.mkdir(parents=True)
    target.with_name("t.bin.gz.part").write_bytes(CONTENT)
    fetch(download, target, lambda _: None)
    assert gzip.decompress(target.read_bytes()) == CONTENT


def test_other_bytes_are_refused_and_not_kept(download, tmp_path):
    target = target_of(download, tmp_path)
    with pytest.raises(TraceError, match=r"published: 0+\. Nothing was kept"):
        fetch(replace(download, sha256="0" * 64), target, lambda _: None)
    assert list(target.parent.iterdir()) == []


def test_without_checksum_it_is_taken_as_it_comes(download, tmp_path):
    plain = replace(download, sha256=None, bytes=None, file="traces/t/t.rar")
    fetch(plain, target_of(plain, tmp_path), lambda _: None)
    assert (tmp_path / plain.file).read_bytes() == CONTENT
    assert "no checksum is published" in terms("t", plain)


def test_no_network_and_no_file(server, download, tmp_path):
    with pytest.raises(TraceError, match="the server answers 404"):
        fetch(replace(download, url=download.url.replace("/trace", "/absent")), tmp_path / "t.gz", lambda _: None)
    with pytest.raises(TraceError, match="cannot be reached"):
        fetch(replace(download, url="http://127.0.0.1:9/t"), tmp_path / "t.gz", lambda _: None)


def test_what_can_be_fetched(monkeypatch):
    names = {trace.name: trace for trace in list_traces()}
    assert all(names[name].kind == "real" for name in DOWNLOADS)
    with pytest.raises(ConfigError, match="can't be fetched"):
        find_download("azure-functions-2019/bursty")
    with pytest.raises(ConfigError, match='did you mean "mooncake/conversation"'):
        find_download("mooncake/conversatio")
    monkeypatch.delenv("SIMLORA_DATA", raising=False)
    with pytest.raises(ConfigError, match="set SIMLORA_DATA, or say --data DIR"):
        target_of(find_download("azure-functions-2021"), None)


def test_the_checksums_are_those_of_the_data_at_hand(data_dir):
    for download in DOWNLOADS.values():
        if download.sha256:
            content = gzip.decompress((data_dir / download.file).read_bytes())
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (download.sha256, download.bytes)
