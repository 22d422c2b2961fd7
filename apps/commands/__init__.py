"""What the command lines do, behind their options; imported only when a command runs."""
