"""``python -m pytest_xinchuang`` is ``xc``."""

import sys

from pytest_xinchuang.cli import main

if __name__ == "__main__":
    sys.exit(main())
