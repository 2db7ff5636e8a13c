"""Measurements, each a program: ``scripts/bench NAME``."""
