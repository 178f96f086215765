#!/usr/bin/env python3
"""Fly one mission: `scripts/fly.py --world walls --seed 1000007`. See `--help`."""

from lnn_nav.commands.fly import main

if __name__ == "__main__":
    raise SystemExit(main())
