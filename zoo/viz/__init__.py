"""Pictures: attention, learning curves, schedules."""
