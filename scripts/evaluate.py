#!/usr/bin/env python3
"""Fly many missions and count: `scripts/evaluate.py --worlds walls --missions 99`. See `--help`."""

from lnn_nav.commands.evaluate import main

if __name__ == "__main__":
    raise SystemExit(main())
