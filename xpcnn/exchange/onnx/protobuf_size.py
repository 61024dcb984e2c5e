"""How much of an ONNX file is not weights: looked up before a parser makes objects of it.

A node of two bytes becomes an object of a hundred, so that a file of a gigabyte could fill eighty. Weights stay as
large as they are.

Source: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

MOST_FIELDS = 2**20  # that are looked at

# In ONNX's messages: which fields are messages that may hold weights, and which are the weights' numbers
_MESSAGES = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
    "tensor": {},
}
_NUMBERS = {4, 9, 10}  # float_data, raw_data, double_data


def other_than_weights(data: bytes) -> int:
    """The number of bytes that are not the weights' numbers; all of them, where there are very many small fields.

    Raises
        ValueError, IndexError : this is no protocol buffer

    >>> other_than_weights(b"")
    0
    """
    rest, fields, weights = [("model", 0, len(data))], 0, 0
    while rest:
        kind, at, end = rest.pop()
        while at < end:
            fields += 1
            if fields > MOST_FIELDS:
                return len(data)
            tag, at = _varint(data, at)
            number, encoding = tag >> 3, tag & 7
            if encoding == 0:
                _, at = _varint(data, at)
            elif encoding == 1:
                at += 8
            elif encoding == 5:
                at += 4
            elif encoding == 2:
                length, at = _varint(data, at)
                if at + length > end:
                    raise ValueError("a field that is longer than what it stands in")
                if number in _MESSAGES[kind]:
                    rest.append((_MESSAGES[kind][number], at, at + length))
                elif kind == "tensor" and number in _NUMBERS:
                    weights += length
                at += length
            else:
                raise ValueError(f"a field of kind {encoding}")
    return len(data) - weights


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number of more than ten bytes")
