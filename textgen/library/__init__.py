"""What the commands do, for programs and notebooks."""
