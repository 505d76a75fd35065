"""Servers that never end: what they send is bounded by its size and by time, and nothing of it is kept."""

import hashlib
import http.server
import socket
import threading

import pytest

from vaecli.data import download
from vaecli.errors import DataError


def drips(answer):
    """A byte now and then, for ever, each well before the connection counts as stalled."""
    while True:
        answer.write(b"x")
        yield


def floods(answer):
    while True:
        answer.write(bytes(10_000))


def drips_within_a_chunk_head(answer):
    answer.write(b"5;")
    yield from drips(answer)


ANSWERS = {
    "drips": ({"Content-Length": "100000"}, drips, "too slow"),
    "drips without a length": ({}, drips, "too slow"),
    "drips its chunk's head": ({"Transfer-Encoding": "chunked"}, drips_within_a_chunk_head, "no answer within"),
    "floods": ({}, floods, "more than 100,000 bytes"),
    "announces too much": ({"Content-Length": "100001"}, drips, "announces 100,001 bytes, expected at most 100,000"),
    "ends early": ({"Content-Length": "1000"}, lambda answer: answer.write(b"x"), "999 bytes too early"),
}


@pytest.fixture
def address(request, monkeypatch):
    """Of a server that gives one of these answers."""
    headers, send, _ = ANSWERS[request.param]
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.close_connection = True
            try:
                for _ in send(self.wfile) or ():
                    if over.wait(0.02):
                        return
            except OSError:
                pass

        def log_message(self, *_):
            pass

    monkeypatch.setattr(download, "LENIENT", 1.0)
    monkeypatch.setattr(download, "STALLED", 5.0)
    monkeypatch.setattr(download, "PATIENCE", 20.0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}/file"
        over.set()
        server.shutdown()


@pytest.mark.parametrize(("address", "said"), [(name, said) for name, (_, _, said) in ANSWERS.items()], indirect=["address"])
def test_what_a_server_sends_is_bounded(address, said, tmp_path):
    with pytest.raises(DataError, match=said):
        download.download(tmp_path / "file", address, hashlib.md5(b"").hexdigest(), limit=100_000)
    assert not list(tmp_path.iterdir())


def test_a_server_that_never_answers_is_waited_for_briefly(monkeypatch, tmp_path):
    assert download.PATIENCE <= 3
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DataError, match=r"^no answer within 0\.1 s$"):
        download.download(tmp_path / "file", f"http://127.0.0.1:{silent.getsockname()[1]}", "")


def test_so_is_the_search_for_its_address(monkeypatch, tmp_path):
    released = threading.Event()

    def search(*_, **__):
        released.wait(60)
        raise OSError("released")

    monkeypatch.setattr(socket, "getaddrinfo", search)
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    with pytest.raises(DataError, match=r"^no answer within 0\.1 s$"):
        download.download(tmp_path / "file", "http://localhost", "")
    released.set()


@pytest.mark.parametrize("kind", ["FashionMNIST", "KMNIST", "EMNIST", "Omniglot", "CIFAR10", "SVHN"])
def test_the_size_of_each_file_is_bounded_by_what_is_known_of_it(kind):
    from vaecli.data.published import files_of

    assert all(file.limit < 1e9 for file in files_of(kind))
