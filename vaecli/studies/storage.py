"""Where a study is kept: a SQLite file, or a PostgreSQL database that many machines reach. Passwords stay in memory."""

import hashlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import optuna
from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError

from vaecli.errors import UsageError, VaecliError, printable, reason

T = TypeVar("T")

PATIENCE = 300
"""Seconds for which a storage that stopped answering is tried again, as while its server restarts."""

_PAUSE = 1.0
_SECRETS = ("password", "sslpassword")


@dataclass(frozen=True)
class Address:
    """Where a storage is.

    Attributes:
        url: SQLAlchemy's, without passwords: it may be shown and kept.
        secrets: the passwords, by the driver's name for them.
    """

    url: str
    secrets: dict[str, str] = field(repr=False)

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None for a server."""
        return Path(self.url.removeprefix("sqlite:///")) if self.url.startswith("sqlite") else None

    def censored(self, words: str) -> str:
        """The text without the passwords."""
        for secret in self.secrets.values():
            words = words.replace(secret, "***") if secret else words
        return words


def address_of(url: str) -> Address:
    """The storage that a URL names.

    Raises:
        UsageError: it is none of SQLite or PostgreSQL; the message does not have the URL, which may have a password in it.
    """
    try:
        parts = make_url(url)
        kind, _, driver = parts.drivername.partition("+")
        kind = {"postgres": "postgresql"}.get(kind, kind)
    except (ArgumentError, ValueError):
        kind = ""
    if kind not in ("sqlite", "postgresql") or (kind == "sqlite" and not parts.database):
        raise UsageError(
            "{storage=}: found no URL of a database, expected {storage=postgresql://USER@HOST/DATABASE} or {storage=sqlite:///FILE}"
        )
    if kind == "sqlite":
        return Address(f"sqlite:///{parts.database}", {})
    secrets = {name: str(parts.query[name]) for name in _SECRETS if name in parts.query}
    secrets |= {"password": str(parts.password)} if parts.password else {}
    clean = parts.set(drivername=f"{kind}+{driver or 'psycopg'}", password=None).difference_update_query(_SECRETS)
    return Address(clean.render_as_string(hide_password=True), secrets)


class Storage:
    """An open storage.

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
        options = _engine_options(address)
        try:
            self._engine = create_engine(address.url, **options)
        except Exception as error:
            raise _explained(error, address) from None
        try:
            with self.lock("vaecli", "tables"), quiet():  # two that make the tables at once would be in each other's way
                self.rdb = RDBStorage(address.url, options, heartbeat_interval=heartbeat, grace_period=grace)
        except Exception as error:
            self._engine.dispose()
            raise _explained(error, address) from None

    @contextmanager
    def lock(self, study: str, what: str) -> Iterator[None]:
        """Within it nobody else is within the lock of the same study and name, on any machine."""
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
        """What `call` gives, which is called again while the storage does not answer.

        Raises:
            VaecliError: it has not answered for PATIENCE seconds.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except Exception as error:
                if not unreachable(error):
                    raise
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
    """Optuna neither logs nor warns within it."""
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def unreachable(error: BaseException | None) -> bool:
    """Whether an error says that the storage does not answer now, but may again."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, OperationalError | InterfaceError | Timeout) or getattr(error, "connection_invalidated", False):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _engine_options(address: Address) -> dict[str, Any]:
    if address.file is not None:
        return {"connect_args": {"timeout": 60}}
    # a connection that is cut off is noticed within a minute
    alive = {"connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}
    return {"connect_args": {"application_name": "vaecli", **alive, **address.secrets}, "pool_pre_ping": True}


def _need_driver(address: Address) -> None:
    driver = address.url.partition("://")[0].partition("+")[2]
    if find_spec(driver) is None:
        raise VaecliError(f"found no PostgreSQL driver {driver}; install it with: pip install 'vaecli[postgresql]'")


_SIGNS = (
    (("password authentication failed", "no password supplied", "authentication failed"),
     "the server refused the user or the password; give the password in PGPASSWORD or ~/.pgpass"),
    (("connection refused", "timeout expired", "timed out", "no route to host", "unreachable", "no such file"),
     "no PostgreSQL server answers there; start it, or check host and port"),
    (("translate host name", "resolve host", "name or service not known", "name resolution"),
     "there is no such host; check its name"),
    (("database", "does not exist"), "the server has no such database; make it with createdb"),
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
    words = printable(address.censored(" ".join(str(root).split())))
    said = words.lower()
    for signs, meaning in _SIGNS:
        if any(sign in said for sign in signs) and (signs[0] != "database" or all(sign in said for sign in signs)):
            return VaecliError(f"{address.url}: {meaning}")
    return VaecliError(f"{address.url}: the storage cannot be used ({words[:300]})")
