"""The command lines: one thin file a task, in the frame of apps.cli."""
