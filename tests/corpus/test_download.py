"""Downloads keep to their limits. The server is this machine."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from textgen.corpus.download import check_url, save

BODY = b"The kettle has a cold today.\n"


class Handler(BaseHTTPRequestHandler):
    """One path for each kind of server."""

    def do_GET(self) -> None:
        getattr(self, self.path.strip("/"))()

    def good(self) -> None:
        self.answer(200, {"Content-Length": str(len(BODY))})
        self.wfile.write(BODY)

    def moved(self) -> None:
        self.answer(302, {"Location": "/good"})

    def moved_away(self) -> None:
        self.answer(302, {"Location": "http://192.0.2.1/poem"})  # an address without a host

    def moved_to_a_file(self) -> None:
        self.answer(302, {"Location": "file:///etc/hostname"})

    def moved_forever(self) -> None:
        self.answer(302, {"Location": "/moved_forever"})

    def missing(self) -> None:
        self.answer(404, {})

    def endless(self) -> None:
        self.answer(200, {})
        self.pour(BODY * 1000, 0)

    def dripping(self) -> None:
        self.answer(200, {"Content-Length": "1000000"})
        self.pour(b"x", 0.05)

    def silent(self) -> None:
        self.answer(200, {"Content-Length": "10"})
        time.sleep(2)

    def cut(self) -> None:
        self.answer(200, {"Content-Length": "1000"})
        self.wfile.write(BODY)

    def answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def pour(self, block: bytes, pause: float) -> None:
        try:
            while True:
                self.wfile.write(block)
                time.sleep(pause)
        except OSError:
            pass  # the client has had enough

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def fetched(url: str, path: Path) -> bytes:
    save(url, path, max_bytes=100_000, timeout=0.5, deadline=1)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.parametrize("kind", ["good", "moved"])
def test_a_page_is_saved(server: str, tmp_path: Path, kind: str) -> None:
    assert fetched(server + kind, tmp_path / "page") == BODY


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "404"),
        ("moved_away", "only https"),
        ("moved_to_a_file", "only https|No connection adapters"),
        ("moved_forever", "redirects"),
        ("endless", "more than 100,000 bytes"),
        ("dripping", "not finished in 1 seconds"),
        ("silent", "no connection"),
        ("cut", "no connection"),
    ],
)
def test_bad_servers_are_given_up(server: str, tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises((OSError, ValueError), match=message):
        fetched(server + kind, tmp_path / "page")


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no connection to 127\.0\.0\.1"):
        fetched("http://127.0.0.1:9/", tmp_path / "page")


@pytest.mark.parametrize(
    "url", ["https://example.org/x", "http://localhost:80/x", "http://[::1]/", "http://127.1.2.3/"]
)
def test_https_and_this_machine_are_accepted(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://example.org/", "http://localhost.example.org/", "http://127.0.0.1.example.org/",
     "ftp://127.0.0.1/", "file:///etc/passwd", "//example.org", "", "http://", "http://10.0.0.1/"],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="only https"):
        check_url(url)
