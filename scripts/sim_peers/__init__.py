"""Simulators of `scripts/bench_sim.py`: ours and others', one step behind one name."""
