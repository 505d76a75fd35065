"""Stand-ins for the sets that torchvision knows; a file of tests that uses them says so."""

import functools
import http.server
import shutil
import socket
import threading

import pytest


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    from tests.data import stand_ins

    folder = tmp_path_factory.mktemp("stand-ins")
    for name, write in stand_ins.WRITERS.items():
        write(folder / name)
    return folder


@pytest.fixture
def stand_ins_published(monkeypatch, tmp_path, originals):
    """The stand-ins are what is published, no copy is on this machine, and the server refuses."""
    from tests.data import stand_ins

    monkeypatch.delenv("VAECLI_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for name in stand_ins.WRITERS:
        stand_ins.publish(monkeypatch, name, originals / name, address)


@pytest.fixture
def server(monkeypatch, tmp_path, originals, stand_ins_published):
    """A folder that is served as the place of the published files, and the names that were asked for."""
    from tests.data import stand_ins

    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    shutil.copytree(originals, tmp_path / "server")
    handler = functools.partial(Handler, directory=tmp_path / "server")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,)).start()
        for name in stand_ins.WRITERS:
            stand_ins.publish(monkeypatch, name, originals / name, f"http://127.0.0.1:{serving.server_port}/{name}")
        yield tmp_path / "server", asked
        serving.shutdown()
