"""The models that ship with textgen (docs/base.md)."""
