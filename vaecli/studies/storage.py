"""Where a study is kept: a SQLite file, or a PostgreSQL database that many machines reach. Passwords stay in memory."""

import logging
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

from optuna import Study
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, InterfaceError, OperationalError

from vaecli.errors import UsageError, VaecliError, is_out_of_memory, printable, reason

T = TypeVar("T")

DRIVER = "psycopg"
"""The driver of a PostgreSQL URL that names none."""

HEARTBEAT, GRACE = {"file": 2, "server": 10}, {"file": 10, "server": 60}
"""Seconds between two heartbeats of a trial, and without one until another worker takes it."""

PATIENCE = 300
"""Seconds for which a storage that stopped answering is tried again, as while its server restarts."""

_PAUSE = 1.0
_ATTEMPTS = 5
"""How often the tables are made again: processes that make them at once are in each other's way."""

_SECRETS = ("password", "sslpassword")
_EXPECTED = "expected {storage=postgresql://USER@HOST/DATABASE} or {storage=sqlite:///FILE}"


@dataclass(frozen=True)
class Address:
    """Where a storage is.

    Attributes:
        url: without passwords: it may be shown and kept.
        secrets: the passwords, by the driver's name for them.
        file: the file of SQLite; None for a server.
    """

    url: str
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    file: Path | None = None

    @staticmethod
    def of_file(file: Path) -> "Address":
        """A SQLite file, whatever letters its path has."""
        return Address(f"sqlite:///{file}", file=file)

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
    in_memory = kind == "sqlite" and parts.database in (None, "", ":memory:")
    if kind not in ("sqlite", "postgresql") or in_memory:
        if "@" in url:
            raise _unclear()
        raise UsageError(f"{{storage=}}: found no URL of a database that lasts, {_EXPECTED}")
    if kind == "sqlite":
        return Address.of_file(Path(str(parts.database)))
    if "@" in (parts.host or ""):  # the rest of a password
        raise _unclear()
    secrets = {name: str(parts.query[name]) for name in _SECRETS if name in parts.query}
    secrets |= {"password": str(parts.password)} if parts.password else {}
    clean = parts.set(drivername=f"{kind}+{driver or DRIVER}", password=None).difference_update_query(_SECRETS)
    return Address(clean.render_as_string(hide_password=True), secrets)


def _unclear() -> UsageError:
    return UsageError(
        f"{{storage=}}: found no URL of a database, {_EXPECTED}; in a password write @ as %40, : as %3A, / as %2F and % as %25, "
        "or leave it out and set PGPASSWORD"
    )


class StudyStorage(RDBStorage):
    """Optuna's storage in a database, which is waited for while its server restarts.

    Args:
        address: where it is.
        on_lost: called with the study and a trial whose worker showed no heartbeat for too long, once.
        note: called with a sentence when the storage stops answering.
    """

    def __init__(self, address: Address, on_lost: Callable[[Study, FrozenTrial], None], note: Callable[[str], None]) -> None:
        self.address, self.note = address, note
        self.missed_at = self.noted_at = -float("inf")
        kind = "server" if address.file is None else "file"
        url = address.url if address.file is None else "sqlite:///study.db"  # whose place is in the options
        template = url.replace("{", "{{").replace("}", "}}")  # Optuna formats it
        with quiet():
            super().__init__(
                template, _engine_options(address), heartbeat_interval=HEARTBEAT[kind], grace_period=GRACE[kind],
                heartbeat_stale_trial_callback=on_lost,
            )  # fmt: skip
        if address.file is not None:
            # a transaction that reads before it writes holds the file from its start: else two workers claim one trial
            self.engine.dispose()
            event.listen(self.engine, "connect", lambda connection, record: setattr(connection, "isolation_level", None))
            event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    def record_heartbeat(self, trial_id: int) -> None:
        """Records that a trial's worker lives; while the server is away the next heartbeat may reach it."""
        try:
            super().record_heartbeat(trial_id)
        except Exception:
            self.missed_at = time.monotonic()

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Sets the state of a trial; one that begins has its first heartbeat before, without which it would never count as lost."""
        if state == TrialState.RUNNING:
            super().record_heartbeat(trial_id)
        return super().set_trial_state_values(trial_id, state, values)

    def is_doubtful(self) -> bool:
        """Whether the storage was away until just now, so that workers that live may not have shown it yet."""
        return time.monotonic() - self.missed_at < 2 * (self.heartbeat_interval or 0)

    def persist(self, call: Callable[[], T]) -> T:
        """What `call` gives, which is called again while the storage does not answer, and does nothing but read and write there.

        Raises:
            UpdateFinishedTrialError: another worker has the trial that `call` writes of.
            VaecliError: it has not answered for PATIENCE seconds, it refuses, or what is in it cannot be read.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with quiet():
                    return call()
            except Exception as error:
                if is_out_of_memory(error) or isinstance(error, UpdateFinishedTrialError):
                    raise
                if not unreachable(error) or time.monotonic() > until:
                    raise _explained(error, self.address) from None
                self.missed_at = time.monotonic()
                if self.missed_at - self.noted_at > PATIENCE:
                    self.note(f"{self.address.url} does not answer; trying again for {PATIENCE // 60} minutes")
                    self.noted_at = self.missed_at
                time.sleep(_PAUSE)

    def close(self) -> None:
        """Gives its connections back."""
        self.remove_session()
        self.engine.dispose()


def open_storage(address: Address, on_lost: Callable[[Study, FrozenTrial], None], note: Callable[[str], None]) -> StudyStorage:
    """The storage at an address; the arguments are those of `StudyStorage`.

    Raises:
        VaecliError: there is none, or it refuses; one line says why.
    """
    if address.file is None:
        _need_driver(address)
    else:
        _need_folder(address.file.parent)
    for attempt in range(_ATTEMPTS):
        try:
            return StudyStorage(address, on_lost, note)
        except Exception as error:
            made_at_once = any(isinstance(one, IntegrityError) or "already exists" in str(one) for one in _with_causes(error))
            if not made_at_once or attempt == _ATTEMPTS - 1:
                raise _explained(error, address) from None
        time.sleep(_PAUSE)
    raise AssertionError


@contextmanager
def quiet() -> Iterator[None]:
    """A context in which Optuna neither logs nor warns that heartbeats are experimental."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("optuna", "alembic"))}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def unreachable(error: BaseException | None) -> bool:
    """Whether an error says that the storage does not answer now, but may again."""
    for one in _with_causes(error):
        if isinstance(original := getattr(one, "orig", None), sqlite3.Error):
            return any(word in str(original) for word in ("locked", "busy"))  # a disk that is full stays full
        if isinstance(one, OperationalError | InterfaceError) or getattr(one, "connection_invalidated", False):
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
