"""A PostgreSQL server for tests, and workers whose trials are missed soon."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

PASSWORD = "open-sesame-%41"
IN_A_URL = "open-sesame-%2541"
GRACE = 4
WORKER = f"""
import sys
from vaecli.cli.app import main
from vaecli.studies import storage
storage.HEARTBEAT.update(file=1, server=1)
storage.GRACE.update(file={GRACE}, server={GRACE})
sys.exit(main())
"""


def missing():
    """Why there can be no server here."""
    if not programs():
        return "PostgreSQL's initdb and pg_ctl are not installed (Debian: apt-get install postgresql)"
    if os.getuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


def programs():
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


needs_postgresql = pytest.mark.skipif(missing() is not None, reason=str(missing()))


class Server:
    def __init__(self, folder):
        self.folder, self.user = folder, "postgres" if os.getuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        self("initdb", "-U", "me", "-A", "scram-sha-256", f"--pwfile={folder}/password", "--no-locale", "-E", "UTF8")
        options = f"-p {self.port} -h 127.0.0.1 -k {folder} -F"
        self("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")

    def __call__(self, program, *words):
        line = [programs() / program, "-D", self.folder / "data", *words]
        # a server that starts keeps its output open
        subprocess.run(line, user=self.user, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def url(self, database="postgres", password=f":{IN_A_URL}", user="me"):
        return f"postgresql://{user}{password}@127.0.0.1:{self.port}/{database}"
