"""A process that has loaded vaecli once and forks for each command line: a fresh process each, without the seconds of an import.

Reads one JSON object a line and answers with one: the exit code, what was printed, and the peak of the child's resident memory.
"""

import json
import os
import resource
import signal
import sys
import traceback

PATIENCE = 60
"""Seconds after which a command is taken for one that hangs."""


def command(request):
    """In the child: runs the command line."""
    from vaecli.cli import main

    os.chdir(request["folder"])
    os.environ.update(request.get("environment", {}))
    for name in request.get("unset", ()):
        os.environ.pop(name, None)
    if request.get("memory"):
        resource.setrlimit(resource.RLIMIT_AS, (request["memory"], request["memory"]))
    if request.get("user"):
        os.setgroups([])
        os.setgid(request["user"])
        os.setuid(request["user"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(PATIENCE)
    try:
        code = main([os.fsdecode(os.fsencode(each)) for each in request["arguments"]])
    except BaseException:
        traceback.print_exc()
        code = 70
    try:
        sys.stdout.flush()
    except OSError:
        code = 120  # as the interpreter has it
    os._exit(code)


def serve():
    """Answers until its input ends."""
    import matplotlib.figure  # noqa: F401
    import torch  # noqa: F401

    import vaecli.checkpoint
    import vaecli.commands.images
    import vaecli.figures.grids
    import vaecli.figures.plots
    import vaecli.measurement  # noqa: F401

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        request = json.loads(line)
        printed = [os.memfd_create(name) for name in ("stdout", "stderr")]
        child = os.fork()
        if not child:
            try:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(os.open(request["stdout"], os.O_WRONLY) if request.get("stdout") else printed[0], 1)
                os.dup2(os.open(request["stderr"], os.O_WRONLY) if request.get("stderr") else printed[1], 2)
                command(request)
            finally:
                os._exit(71)
        _, status, used = os.wait4(child, 0)
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "peak": used.ru_maxrss / 1024,
            "seconds": used.ru_utime + used.ru_stime,
        }
        for name, handle in zip(("out", "err"), printed, strict=True):
            os.lseek(handle, 0, os.SEEK_SET)
            answer[name] = os.read(handle, 1 << 20).decode("utf-8", "surrogateescape")
            os.close(handle)
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    serve()
