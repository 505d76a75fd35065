"""``vaecli search`` typed wrong, or without what it needs: one line, and nothing else."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import FEW
from tests.helpers import one_line, refused


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--latent-dim", "50:2"], 2, "--latent-dim 50:2: the range is upside down or empty"),
        (["--latent-dim", "2,x"], 2, "--latent-dim 2,x: expected whole numbers, such as"),
        (["--latent-dim", "2:3:4"], 2, "--latent-dim 2:3:4: expected whole numbers"),
        (["--lr", "fast"], 2, "--lr fast: expected numbers"),
        (["--objective", "elbo:iwae"], 2, "--objective elbo:iwae: found a range, expected a name"),
        (["--objective", "elbo,iwea"], 2, "did you mean iwae"),
        (["--hidden", "100:500"], 2, "--hidden 100:500: expected one value"),
        (["--pixel-range", "5"], 2, "--pixel-range 5: expected two numbers with a comma between them"),
        (["--pixel-range", "0,1.5", "--latent-dim", "2,3"], 2, "--pixel-range 0,1.5 with --dataset mnist"),
        (["--likelihood", "bernoulli,beta"], 2, "cannot be compared"),
        (["--nonsense", "1,2"], 2, "No such option: --nonsense"),
        ([], 2, "expected a list or a range, such as --latent-dim 2,3,5"),
        (["--latent-dim", "2,3", "--trials", "5"], 2, "--trials 5 without a range"),
        (["--latent-dim", "2,3", "--by", "best"], 2, "--by best: expected elbo, or L_k"),
        (["--latent-dim", "2,3", "--storage", "mysql://me:sesame@host/db"], 2, "--storage: found no URL of a database"),
        (["--latent-dim", "2,3", "--storage", "postgresql://me:se@same@host/db"], 2, "in a password write @ as %40"),
        (["--latent-dim", "2,3", "--storage", "postgresql://me:se@sa:m/e%41@host/db"], 2, "in a password write @ as %40"),
        (["--latent-dim", "2,3", "--storage", "sqlite:///:memory:"], 2, "found no URL of a database that lasts"),
        (["--lr", "nan:1"], 2, "--lr nan:1: expected numbers, such as --lr 1e-4,1e-3, or a range, such as --lr 1e-4:1e-2"),
        (["--latent-dim", f"2:1{'0' * 400}"], 2, "expected whole numbers"),
        (["--lr", "1e-4:inf"], 2, "--lr 1e-4:inf: expected numbers"),
        (["--latent-dim", "2,3", "--storage", "sesame"], 2, "--storage: found no URL of a database"),
        (["--latent-dim", "2,3", "--storage", "postgresql://me:sesame@127.0.0.1:9/db"], 1, "no PostgreSQL server answers there"),
        (["--latent-dim", "2,3", "--storage", "postgresql://me:r@127.0.0.1:9/db"], 1, "no PostgreSQL server answers there"),
        (["--latent-dim", "2,3", "--validation", "600"], 2, "--validation 600: found 600 training images, expected some left"),
        (["--latent-dim", "2,3", "--prune"], 2, "--prune with --epochs 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_mistakes_are_one_line(search, words, code, said):
    outcome = search(*words, "-q")
    line = one_line(outcome, code)
    assert said in line
    assert not any(secret in line for secret in ("sesame", "same@", "sa:m"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("postgresql", "found no PostgreSQL driver psycopg; install it with: pip install 'vaecli[postgresql]'"),
        ("postgresql+psycopg2", "found no PostgreSQL driver psycopg2; leave +psycopg2 out of the URL, whose own driver comes with: "
                                "pip install 'vaecli[postgresql]'"),
    ],
)  # fmt: skip
def test_without_a_driver_the_line_says_what_to_install(search, monkeypatch, kind, said):
    monkeypatch.setattr("vaecli.studies.storage.find_spec", lambda name: None)
    outcome = search("--latent-dim", "2,3", "--storage", f"{kind}://me@127.0.0.1:9/db", "-q")
    assert one_line(outcome, 1) == f"vaecli: {said}"


@pytest.mark.system
def test_without_a_package_the_line_says_what_to_install(tmp_path, small_mnist):
    """As in an environment where somebody removed Optuna."""
    hide = "import sys; sys.modules['optuna'] = None; from vaecli.__main__ import main; sys.exit(main())"
    line = [sys.executable, "-c", hide, "search", "--latent-dim", "2,3", "-q", "--data-dir", str(small_mnist)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == "vaecli: found no Python package optuna, which vaecli needs; install it with: pip install optuna\n"
    assert done.returncode == 1


def test_what_is_no_postgresql_server_is_one_line_and_leaves_no_folder(search):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with server.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request")

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        url = f"postgresql://me:sesame@127.0.0.1:{server.getsockname()[1]}/db"
        line = one_line(search("--latent-dim", "2,3", "--storage", url, "-q"), 1)
        answering.join(10)
    assert line.endswith(": what answers there is no PostgreSQL server; check host and port")
    assert "sesame" not in line
    assert not Path("checkpoints").exists(), "nothing was begun"


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_search_that_may_be_read_but_not_written(search, forked, small_mnist, tmp_path):
    line = ["--latent-dim", "2,3", "--name", "mine", "-q"]
    assert search(*line).code == 0
    Path("checkpoints/mine/study.db").chmod(0o444)
    outcome = forked(tmp_path, "search", *FEW, "--data-dir", small_mnist, *line)
    said = refused(outcome, 1)
    assert "checkpoints/mine/study.db: this database may be read, but not written; check its permissions" in said


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_file_where_none_can_be_is_refused_at_once(search, monkeypatch):
    """The file lock takes that for a file which somebody else makes, and waits."""
    monkeypatch.setattr("vaecli.studies.storage.PATIENCE", 2)
    line = one_line(search("--latent-dim", "2,3", "--storage", "sqlite:////proc/x.db", "-q"), 1)
    said = "/proc: SQLite cannot write there (no such file or directory); choose another place with --storage sqlite:///FILE"
    assert line == f"vaecli: {said}"


def test_another_search_of_the_same_name_is_refused(search):
    assert search("--latent-dim", "2,3", "--name", "mine", "-q").code == 0
    outcome = search("--latent-dim", "2,4", "--name", "mine", "-q")
    assert "--name mine: the storage has a study of that name with other settings (latent_dim 2,3, not 2,4)" in one_line(outcome, 2)


def test_a_file_that_is_no_database_is_refused(search):
    Path("checkpoints/mine").mkdir(parents=True)
    Path("checkpoints/mine/study.db").write_text("garbage" * 100)
    assert "the file is no SQLite database" in one_line(search("--latent-dim", "2,3", "--name", "mine", "-q"), 1)
