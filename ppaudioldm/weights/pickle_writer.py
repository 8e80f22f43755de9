"""Pieces of pickles as bytes, from which `torch_files` writes PyTorch's files without PyTorch."""

from __future__ import annotations

import pickle
import struct


def text(value: str) -> bytes:
    data = value.encode("utf-8")
    return pickle.BINUNICODE + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return pickle.BININT + struct.pack("<i", value)
    return pickle.LONG1 + b"\x08" + struct.pack("<q", value)


def real(value: float) -> bytes:
    return pickle.BINFLOAT + struct.pack(">d", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return tuple_of(*map(number, values))


def tuple_of(*items: bytes) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE


def global_name(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + tuple_of(*arguments) + pickle.REDUCE


def dict_of(*keys_and_values: bytes) -> bytes:
    return pickle.EMPTY_DICT + pickle.MARK + b"".join(keys_and_values) + pickle.SETITEMS
