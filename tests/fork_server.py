"""A process that has loaded vaecli once and forks for each command line: a fresh process each, without the seconds of an import.

Reads one JSON object a line and answers with one: the exit code, what was printed, and the peak of the child's resident memory.
"""

import ctypes
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import traceback
from pathlib import Path

PATIENCE = 100
"""Seconds after which a command is taken for one that hangs."""


def command(request):
    """In the child: runs the command line, as a process that begins with it would."""
    from vaecli.cli.app import main

    os.chdir(request["folder"])
    for name, value in request["environment"].items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    if request["memory"]:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + request["memory"],) * 2)
    if request["no_passwords"]:
        import pwd

        def unknown(user):
            raise KeyError(f"getpwuid(): uid not found: {user}")

        pwd.getpwuid = unknown
    drop_privileges()
    signal.alarm(PATIENCE)
    try:
        code = main(request["arguments"])
    except BaseException:
        traceback.print_exc()
        code = 70
    try:
        sys.stdout.flush()
    except OSError:
        code = 120  # as the interpreter has it
    os._exit(code)


def drop_privileges():
    """Holds root to the permissions of files too."""
    version_3, this_process = 0x20080522, 0
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(version_3, this_process), (ctypes.c_uint32 * 6)())


def load():
    """Imports what commands do; they read nothing of the environment then."""
    import matplotlib.figure  # noqa: F401

    for room in ("analysis", "cli", "data", "evaluation", "plotting", "runs"):
        package = importlib.import_module(f"vaecli.{room}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


def serve():
    """Answers until its input ends."""
    load()

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        request = json.loads(line)
        printed = {1: os.memfd_create("stdout"), 2: os.memfd_create("stderr")}
        child = os.fork()
        if not child:
            try:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                for number, name in ((1, request["stdout"]), (2, request["stderr"])):
                    os.dup2(os.open(name, os.O_WRONLY) if name else printed[number], number)
                command(request)
            finally:
                os._exit(71)
        _, status, used = os.wait4(child, 0)
        answer = {"code": os.waitstatus_to_exitcode(status), "peak": used.ru_maxrss * 1024}
        for name, handle in zip(("out", "err"), printed.values(), strict=True):
            answer[name] = os.pread(handle, 1 << 20, 0).decode("utf-8", "surrogateescape")
            os.close(handle)
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    serve()
