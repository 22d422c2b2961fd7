"""Schedules, losses, the loop, its step on each backend, checkpoints."""
