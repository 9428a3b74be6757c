"""``python -m pytest_xinchuang.cli`` is ``xc``."""

import sys

from pytest_xinchuang.cli import main

sys.exit(main())
