"""Pickles that run code, or break a reader, when something unpickles them. Used by the tests of every reader."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

from ppaudioldm.weights import pickle_writer as write
from ppaudioldm.weights.pickled_arrays import PickledArray, PickledDtype
from ppaudioldm.weights.safe_pickle import Placeholder, Symbol

PROTOCOL = pickle.PROTO + b"\x04"


class Reduced:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable, *arguments: object):
        self.reduced = function, arguments

    def __reduce__(self) -> tuple:
        return self.reduced


def called(module: str, name: str, *arguments: bytes) -> bytes:
    return write.call(write.global_name(module, name), *arguments)


def mkdir(marker: Path) -> bytes:
    return called("os", "mkdir", write.text(str(marker)))


def stack_global(module: str, name: str) -> bytes:
    return write.text(module) + write.text(name) + pickle.STACK_GLOBAL


def setstate(marker: Path) -> bytes:
    """An object that is given a __setstate__ by one state, and called by the next."""
    ordered = called("collections", "OrderedDict")
    state = write.dict_of(write.text("__setstate__"), write.global_name("os", "mkdir"))
    return ordered + state + pickle.BUILD + write.text(str(marker)) + pickle.BUILD


def attrgetter(marker: Path) -> bytes:
    module = called("builtins", "__import__", write.text("os"))
    function = write.call(called("operator", "attrgetter", write.text("path.os.mkdir")), module)
    return write.call(function, write.text(str(marker)))


def object_array(marker: Path) -> bytes:
    """An array of objects, the only one made by a call."""
    array = called(
        "numpy.core.multiarray", "_reconstruct", write.global_name("numpy", "ndarray"), write.numbers((0,)), b"C\x01b"
    )
    dtype = called("numpy", "dtype", write.text("O8"), pickle.NEWFALSE, pickle.NEWTRUE)
    content = pickle.EMPTY_LIST + mkdir(marker) + pickle.APPEND
    state = write.tuple_of(write.number(1), write.numbers((1,)), dtype, pickle.NEWFALSE, content)
    return array + state + pickle.BUILD


def getattr_chain(marker: Path) -> bytes:
    module = called("builtins", "__import__", write.text("os"))
    return write.call(called("builtins", "getattr", module, write.text("mkdir")), write.text(str(marker)))


# Each makes the folder `marker` when Python's own pickle reads it: the tests check that, too.
LIVE: dict[str, Callable[[Path], bytes]] = {
    "os.system by GLOBAL": lambda m: pickle.dumps(Reduced(os.system, f"mkdir '{m}'"), 2)[2:-1],
    "os.system by STACK_GLOBAL": lambda m: pickle.dumps(Reduced(os.system, f"mkdir '{m}'"), 4)[11:-1],
    "os.mkdir": mkdir,
    "eval": lambda m: called("builtins", "eval", write.text(f"__import__('os').mkdir({str(m)!r})")),
    "exec": lambda m: called("builtins", "exec", write.text(f"import os; os.mkdir({str(m)!r})")),
    "getattr": getattr_chain,
    "operator.attrgetter": attrgetter,
    "dotted name": lambda m: write.call(stack_global("ppaudioldm.errors", "os.mkdir"), write.text(str(m))),
    "pickle in a pickle": lambda m: called("pickle", "loads", b"B" + _sized(PROTOCOL + mkdir(m) + pickle.STOP)),
    "__setstate__": setstate,
    "object array": object_array,
    "INST": lambda m: pickle.MARK + write.text(str(m)) + b"ios\nmkdir\n",
    "OBJ": lambda m: pickle.MARK + write.global_name("os", "mkdir") + write.text(str(m)) + pickle.OBJ,
    "functools.partial": lambda m: write.call(
        called("functools", "partial", write.global_name("os", "mkdir"), write.text(str(m)))
    ),
    "as a key": lambda m: write.dict_of(mkdir(m), pickle.NONE),
    "dropped again": lambda m: mkdir(m) + pickle.POP + pickle.NONE,
}

# These need PyTorch, or a registry, to run; none of them has a place in a checkpoint either.
OTHERS: dict[str, Callable[[Path], bytes]] = {
    "in a parameter": lambda m: called("torch._utils", "_rebuild_parameter", mkdir(m), pickle.NEWTRUE, pickle.NONE),
    "as a storage": lambda m: called(
        "torch._utils", "_rebuild_tensor_v2", mkdir(m), write.number(0), *[write.numbers(())] * 2, pickle.NEWFALSE
    ),
    "no storage": lambda m: called(
        "torch._utils", "_rebuild_tensor_v2", pickle.NONE, write.number(0), *[write.numbers(())] * 2, pickle.NEWFALSE
    ),
    "as a persistent id": lambda m: mkdir(m) + pickle.BINPERSID,
    "strange persistent id": lambda m: write.text("storage") + pickle.BINPERSID,
    "__dict__": lambda m: (
        called("collections", "OrderedDict")
        + write.dict_of(write.text("__dict__"), write.dict_of(write.text("x"), write.number(1)))
        + pickle.BUILD
    ),
    "state of a class": lambda m: (
        write.global_name("os", "PathLike") + write.dict_of(write.text("x"), pickle.NONE) + pickle.BUILD
    ),
    "NEWOBJ": lambda m: write.global_name("subprocess", "Popen") + write.tuple_of(write.text("true")) + pickle.NEWOBJ,
    "NEWOBJ_EX": lambda m: (
        write.global_name("subprocess", "Popen")
        + write.tuple_of()
        + write.dict_of(write.text("args"), write.text("true"))
        + pickle.NEWOBJ_EX
    ),
    "EXT1": lambda m: pickle.EXT1 + b"\x01",
    "EXT2": lambda m: pickle.EXT2 + b"\x01\x01",
    "EXT4": lambda m: pickle.EXT4 + b"\x01\x01\x01\x01",
    "PERSID": lambda m: b"Pstorage\n",
    "NEXT_BUFFER": lambda m: pickle.NEXT_BUFFER,
    "copyreg._reconstructor": lambda m: called(
        "copyreg", "_reconstructor", write.global_name("os", "PathLike"), write.global_name("builtins", "object")
    ),
    "object scalar": lambda m: called(
        "numpy.core.multiarray",
        "scalar",
        called("numpy", "dtype", write.text("O8"), pickle.NEWFALSE, pickle.NEWTRUE),
        b"B" + _sized(PROTOCOL + mkdir(m) + pickle.STOP),
    ),
    "record array": lambda m: (
        called("numpy", "dtype", write.text("V8"), pickle.NEWFALSE, pickle.NEWTRUE)
        + write.tuple_of(*[write.number(3), write.text("|"), pickle.NONE, write.numbers(()), write.dict_of()])
        + pickle.BUILD
    ),
    "subclass of ndarray": lambda m: called(
        "numpy.core.multiarray", "_reconstruct", write.global_name("os", "PathLike"), write.numbers((0,)), b"C\x01b"
    ),
    "DenseTensor of Paddle": lambda m: called("builtins", "eval", write.text("data"), write.dict_of()),
    "tuple of an iterator": lambda m: called("builtins", "tuple", pickle.EMPTY_LIST),
    "bytes in another encoding": lambda m: called("_codecs", "encode", write.text("x"), write.text("rot13")),
    "a name of several lines": lambda m: write.call(stack_global("os", "sys\nt\x1b[2Jem" * 50)),
    "call of a number": lambda m: write.call(write.number(1)),
    "call without a tuple": lambda m: write.global_name("os", "mkdir") + pickle.NONE + pickle.REDUCE,
}

# What is no call of a name at all is refused; everything else is inert: placeholders, and nothing else.
REFUSED = {
    "INST",
    "OBJ",
    "as a persistent id",
    "strange persistent id",
    "state of a class",
    "EXT1",
    "EXT2",
    "EXT4",
    "PERSID",
    "NEXT_BUFFER",
    "tuple of an iterator",
    "bytes in another encoding",
    "call of a number",
}

# Not code, but hard on a reader that trusts the file.
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no pickle": b"hello, I am a checkpoint",
    "protocol 0": b"(dp0\n.",
    "protocol 9": b"\x80\x09N.",
    "no end": PROTOCOL + b"N",
    "unknown instruction": PROTOCOL + b"\xff.",
    "empty stack": PROTOCOL + b".",
    "below the stack": PROTOCOL + b"N\x86.",
    "below the mark": PROTOCOL + b"N(\x85.",
    "no mark": PROTOCOL + b"Nt.",
    "unknown memo": PROTOCOL + b"h\x05.",
    "memo of nothing": PROTOCOL + b"\x94.",
    "list as key": PROTOCOL + b"}]Ns.",
    "dict as key": PROTOCOL + b"}}Ns.",
    "tuple as key": PROTOCOL + b"}N\x85Ns.",
    "large number as key": PROTOCOL + b"}\x8a\xff" + b"\x7f" * 255 + b"Ns.",
    "list in a set": PROTOCOL + b"\x8f(]\x90.",
    "key without value": PROTOCOL + b"}(Nu.",
    "append to a dict": PROTOCOL + b"}Na.",
    "item of a list": PROTOCOL + b"]NNs.",
    "item of a tuple": PROTOCOL + b")NNs.",
    "not UTF-8": PROTOCOL + b"X\x02\x00\x00\x00\xff\xff.",
    "name without end": PROTOCOL + b"cos",
    "name not UTF-8": PROTOCOL + b"c\xff\n\xff\n.",
    "name of numbers": PROTOCOL + b"K\x01K\x01\x93.",
    "negative length": PROTOCOL + b"T\xff\xff\xff\xff.",
    "negative number length": PROTOCOL + b"\x8b\xff\xff\xff\xff.",
    **{
        f"huge length after {code!r}": PROTOCOL + code + b"\xff" * 7 + b"\x7f" + b"x" * 20 + b"."
        for code in (b"B", b"X", b"T", b"\x8e", b"\x8d", b"\x96", b"\x8b")
    },
    "tuple bomb as a key": PROTOCOL + b"}N" + b"2\x86" * 200 + b"Ns.",
    "tuple bomb": PROTOCOL + b"N" + b"2\x86" * 200 + b".",
    "tuple bomb as arguments": PROTOCOL + b"cos\nmkdir\nN" + b"2\x86" * 200 + b"R.",
    "deep tuple": PROTOCOL + b"N" + b"\x85" * 100_000 + b".",
    "deep list": PROTOCOL + b"]" * 100_000 + b"a" * 99_999 + b".",
    "list in itself": PROTOCOL + b"]\x94h\x00a.",
}


def is_inert(value: object) -> bool:
    """Whether `value` consists of text, numbers, containers, names, and placeholders of what was not called."""
    if isinstance(value, dict):
        return all(is_inert(item) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_inert, value))
    if isinstance(value, PickledArray):
        return value.data is None
    kinds = str, bytes, int, float, type(None), Symbol, Placeholder, PickledDtype
    return type(value) in (*kinds, bool)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data
