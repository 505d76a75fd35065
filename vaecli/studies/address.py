"""The URL of a storage: its parts, and its passwords, which stay in memory. No Optuna."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from vaecli.errors import UsageError

DRIVER = "psycopg"
"""The driver of a PostgreSQL URL that names none."""

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
