"""Faster implementations of operations, each under the contract of its reference, each allowed to refuse."""
