"""Bytes out, bytes in."""
