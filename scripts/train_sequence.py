#!/usr/bin/env python3
"""Train cells on sequences: `scripts/train_sequence.py --task xor --cell mixed`. See `--help`."""

from lnn_nav.learn.sequences.command import main

if __name__ == "__main__":
    raise SystemExit(main())
