"""``python -m visiomedia``."""

import sys

from visiomedia.cli import main

if __name__ == "__main__":
    sys.exit(main())
