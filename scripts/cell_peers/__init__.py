"""Cells of several libraries behind one face, for `scripts/bench_cells.py`."""
