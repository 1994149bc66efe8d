"""The texts that ship with textgen (see README.md here)."""
