"""How long a file from the network is waited for."""

import socket
import threading

import pytest

from vaecli.data.download import PATIENCE, download
from vaecli.errors import DataError


def test_a_server_that_never_answers_is_waited_for_briefly():
    assert PATIENCE <= 3
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DataError, match=r"^no answer within 0\.1 s$"):
        download(f"http://127.0.0.1:{silent.getsockname()[1]}", 100, patience=0.1)


def test_so_is_the_search_for_its_address(monkeypatch):
    released = threading.Event()

    def search(*_, **__):
        released.wait(60)
        raise OSError("released")

    monkeypatch.setattr(socket, "getaddrinfo", search)
    with pytest.raises(DataError, match=r"^no answer within 0\.1 s$"):
        download("http://localhost", 100, patience=0.1)
    released.set()
