"""The connection to a study: a SQLite file, or a PostgreSQL database that many machines reach. Passwords stay in memory."""

import hashlib
import logging
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, text
from sqlalchemy.exc import InterfaceError, OperationalError

from vaecli.errors import VaecliError, is_out_of_memory, printable, reason
from vaecli.studies.address import DRIVER, Address

T = TypeVar("T")

PATIENCE = 300
"""Seconds for which a storage that stopped answering is tried again, as while its server restarts."""

_PAUSE = 1.0


class Connection:
    """An open connection to the storage of a study.

    Args:
        address: where it is.
        heartbeat: seconds between two signs of life of a trial that runs.
        grace: seconds without one after which its worker is taken for dead.
        note: called with a sentence when the storage stops answering.

    Attributes:
        rdb: Optuna's.

    Raises:
        VaecliError: there is none, or it refuses; one line says why.
    """

    def __init__(self, address: Address, heartbeat: int, grace: int, note: Callable[[str], None]) -> None:
        self.address, self.note = address, note
        self._trouble = 0.0
        if address.file is None:
            _need_driver(address)
        else:
            _need_folder(address.file.parent)
        options = _engine_options(address)
        url = address.url if address.file is None else "sqlite:///study.db"  # whose place is in the options
        try:
            self._engine = create_engine(url, **options)
        except Exception as error:
            raise _explained(error, address) from None
        try:
            with self.lock("vaecli", "tables"), quiet():  # two that make the tables at once would be in each other's way
                template = url.replace("{", "{{").replace("}", "}}")  # Optuna formats it
                self.rdb = RDBStorage(template, options, heartbeat_interval=heartbeat, grace_period=grace)
        except Exception as error:
            self._engine.dispose()
            raise _explained(error, address) from None

    @contextmanager
    def lock(self, study: str, what: str) -> Iterator[None]:
        """A context that nobody else, on any machine, is in for the same study and name."""
        if file := self.address.file:
            with FileLock(f"{file}.{what}", timeout=PATIENCE):
                yield
            return

        number = int.from_bytes(hashlib.sha256(f"{study} {what}".encode()).digest()[:8], signed=True)
        with self._engine.connect() as connection, connection.begin():
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
            yield

    def missed(self) -> None:
        """Notes that it did not answer just now."""
        self._trouble = time.monotonic()

    def in_trouble(self, seconds: float) -> bool:
        """Whether it did not answer within the last `seconds`."""
        return bool(self._trouble) and time.monotonic() - self._trouble < seconds

    def persist(self, call: Callable[[], T]) -> T:
        """What `call` gives, which is called again while the storage does not answer, and does nothing but read and write there.

        Raises:
            VaecliError: it has not answered for PATIENCE seconds, it refuses, or what is in it cannot be read.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except Exception as error:
                if not unreachable(error):
                    if is_out_of_memory(error):
                        raise
                    raise _explained(error, self.address) from None
                if time.monotonic() > until:
                    raise _explained(error, self.address) from None
                if not self.in_trouble(PATIENCE):
                    self.note(f"{self.address.url} does not answer; trying again for {PATIENCE // 60} minutes")
                self.missed()
                time.sleep(_PAUSE)

    def close(self) -> None:
        """Gives its connections back."""
        self._engine.dispose()
        self.rdb.engine.dispose()


@contextmanager
def quiet() -> Iterator[None]:
    """A context in which Optuna neither logs nor warns."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("optuna", "alembic"))}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def unreachable(error: BaseException | None) -> bool:
    """Whether an error says that the storage does not answer now, but may again."""
    for one in _with_causes(error):
        if isinstance(original := getattr(one, "orig", None), sqlite3.Error):
            return any(word in str(original) for word in ("locked", "busy"))  # a disk that is full stays full
        if isinstance(one, OperationalError | InterfaceError | Timeout) or getattr(one, "connection_invalidated", False):
            return True
    return False


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 10:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


def _engine_options(address: Address) -> dict[str, Any]:
    if address.file is not None:
        file = address.file  # a URL cannot name it in every version of SQLAlchemy: paths have '?' and '%'
        return {"creator": lambda: sqlite3.connect(file, timeout=60, check_same_thread=False)}
    # a connection that is cut off is noticed within a minute
    alive = {"connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}
    return {"connect_args": {"application_name": "vaecli", **alive, **address.secrets}, "pool_pre_ping": True}


def _need_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise VaecliError(
            f"{folder}: SQLite cannot write there ({reason(error)}); choose another place with {{storage=sqlite:///FILE}}"
        ) from None


def _need_driver(address: Address) -> None:
    driver = address.url.partition("://")[0].partition("+")[2]
    if find_spec(driver) is None:
        how = "install it with" if driver == DRIVER else f"leave +{driver} out of the URL, whose own driver comes with"
        raise VaecliError(f"found no PostgreSQL driver {driver}; {how}: pip install 'vaecli[postgresql]'")


_SIGNS = (
    (("password authentication failed", "no password supplied", "authentication failed"),
     "the server refused the user or the password; give the password in PGPASSWORD or ~/.pgpass"),
    (("connection refused", "timeout expired", "timed out", "no route to host", "unreachable", "no such file"),
     "no PostgreSQL server answers there; start it, or check host and port"),
    (("translate host name", "resolve host", "name or service not known", "name resolution"),
     "there is no such host; check its name"),
    (("database", "does not exist"), "the server has no such database; make it with createdb"),
    (("file is not a database",), "the file is no SQLite database; move it away, and type the line again"),
    (("readonly database", "read-only transaction"), "this database may be read, but not written; check its permissions"),
    (("permission denied for",), "the user may not make or change tables there; let the database's owner give them that right"),
    (("invalid response to ssl negotiation",), "what answers there is no PostgreSQL server; check host and port"),
    (("too many clients", "too many connections", "connection slots"),
     "the server has no connection left; start fewer workers, or raise max_connections"),
    (("no pq wrapper", "libpq"), "the PostgreSQL driver does not load; install it with: pip install 'vaecli[postgresql]'"),
)  # fmt: skip


def _explained(error: BaseException, address: Address) -> VaecliError:
    """The one line for what a storage or its driver said."""
    if isinstance(error, VaecliError):
        return error
    if isinstance(error, OSError) and not hasattr(error, "orig"):
        return VaecliError(f"{address.url}: {reason(error)}")
    root: BaseException = error
    while (inner := getattr(root, "orig", None) or root.__cause__) is not None:
        root = inner
    words = " ".join(str(root).split())
    said = words.lower()  # in which the password is, as a short one would take letters away from other words
    for signs, meaning in _SIGNS:
        if any(sign in said for sign in signs) and (signs[0] != "database" or all(sign in said for sign in signs)):
            return VaecliError(f"{address.url}: {meaning}")
    shown = printable(address.censored(words))
    check = "the file and its disk" if address.file else "host, port, user and database"
    return VaecliError(f"{address.url}: the storage cannot be used ({shown[:300]}); check {check}")
