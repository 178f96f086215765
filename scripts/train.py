#!/usr/bin/env python3
"""Train a pilot: `scripts/train.py --out runs/mine --minutes 10`. See `--help`."""

from lnn_nav.commands.train import main

if __name__ == "__main__":
    raise SystemExit(main())
