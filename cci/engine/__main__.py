"""The command line: `python -m cci.engine run | uncertainty | compare | audit`; see README.md beside this file."""

import sys

from cci.engine.commands import main

if __name__ == "__main__":
    sys.exit(main())
