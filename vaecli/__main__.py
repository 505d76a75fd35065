"""The program: ``vaecli`` and ``python -m vaecli``."""

import signal
import sys

from vaecli.cli.signals import leave


def main() -> int:
    """Runs the command line of this process; gives its exit code."""
    signal.signal(signal.SIGINT, leave)  # until `vaecli.cli.app.main` takes over: it takes a tenth of a second to import

    from vaecli.cli.app import main as run  # noqa: PLC0415

    code = run()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process ends as it is, without a traceback from the interpreter's end
    return code


if __name__ == "__main__":
    sys.exit(main())
