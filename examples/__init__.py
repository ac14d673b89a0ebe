"""Runnable programs that show what the library does; see README.md beside this file."""
