#!/usr/bin/env python3
"""Check a pilot's safety: `scripts/verify.py --worlds walls --missions 40`. See `--help`."""

from lnn_nav.commands.verify import main

if __name__ == "__main__":
    raise SystemExit(main())
