"""Liquid cells trained on labelled sequences that have nothing to do with drones."""
