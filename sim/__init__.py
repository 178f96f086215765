"""Drones, worlds, sensors and missions: a flight simulator that takes any pilot."""
