"""Faster implementations of operations. Each keeps the contract of its reference, and may refuse a call."""
