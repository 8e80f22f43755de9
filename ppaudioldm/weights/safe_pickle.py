"""A safe reader of pickles: nothing that a file names is imported or called.

A pickle is a program for a stack machine. This machine has the instructions that PyTorch and Paddle write (protocols 2
to 5), leaves long byte strings in the file, and lets a file "call" only names that our caller lists, each standing for
a function of ours. Any other name in a file stays a `Symbol`, a piece of text, and a call of it a `Placeholder`: files
of training programs hold hyperparameters, paths and callbacks beside the weights, which need not be understood.
"""

from __future__ import annotations

import pickle  # for the names of its opcodes alone
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from ppaudioldm.errors import naming, shown

INLINE = 1024  # bytes; longer strings are left in the file
# Bytes of memory that one pickle may use, by a rough and generous count. A checkpoint of 5,300 tensors uses 50 million.
# The same number bounds the time: about 2.5 million instructions.
BUDGET = 512 << 20
INSTRUCTION_COST = 200
CALL_COST = 1200

Container = TypeVar("Container", list, dict, set)
Constructors = Mapping[str, Callable[..., object]]


@dataclass(frozen=True)
class Symbol:
    """The dotted name of a class or function in a file."""

    name: str


@dataclass(frozen=True, eq=False)  # compared and hashed by identity
class Placeholder:
    """Stands for an object that weights do not need: the result of a call of `name`, which was not called.

    Its arguments, items and state are dropped.
    """

    name: str


@dataclass(frozen=True)
class FileBytes:
    """A string of `length` bytes at byte `offset` of the file.

    text: it is UTF-8 text, in which every character stands for one byte (how protocol 2 writes bytes).
    """

    offset: int
    length: int
    text: bool = False


class Buildable:
    """An object of ours whose state a file may set."""

    def set_state(self, state: object) -> None:
        """Raises ValueError when `state` is not of the expected kind."""
        raise NotImplementedError


def read_pickle(
    path: Path,
    file: BinaryIO,
    end: int,
    constructors: Constructors,
    persistent: Callable[[object], object] | None = None,
) -> object:
    """The value of the pickle that starts at the position of `file`, which is left just behind the pickle.

    path: names the file in errors. end: no byte at or after this offset is read.
    constructors: dotted name -> the function of ours that is called in its place. COMMON has the usual ones; a call of
    any other name is a `Placeholder`. persistent: called with each persistent id; None refuses them.
    Raises CheckpointError for damage, for arguments that our functions refuse, and for pickles that exceed BUDGET.
    """
    with naming(path):
        return _Machine(file, end, constructors, persistent).run()


def _dict(*_default_factory: object) -> dict:
    return {}


def _tuple(items: object) -> tuple:
    if not isinstance(items, tuple):
        raise ValueError("tuple() of something other than a tuple")
    return items


def _encode(text: object, encoding: object) -> bytes | FileBytes:
    if encoding != "latin1":
        raise ValueError(f"bytes in encoding {shown(encoding)}")
    if isinstance(text, FileBytes) and text.text:
        return text
    if not isinstance(text, str):
        raise ValueError("bytes encoded from something other than text")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


COMMON: Constructors = {
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
    "_codecs.encode": _encode,
    "builtins.tuple": _tuple,
    "__builtin__.tuple": _tuple,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
}

CONSTANTS = {pickle.NONE: None, pickle.NEWTRUE: True, pickle.NEWFALSE: False, pickle.EMPTY_TUPLE: ()}
CONTAINERS = {pickle.EMPTY_LIST: list, pickle.EMPTY_DICT: dict, pickle.EMPTY_SET: set}
NUMBERS = {pickle.BININT: "<i", pickle.BININT1: "<B", pickle.BININT2: "<H"}
LONGS = {pickle.LONG1: "<B", pickle.LONG4: "<i"}
BYTES = {pickle.SHORT_BINBYTES: "<B", pickle.BINBYTES: "<I", pickle.BINBYTES8: "<Q", pickle.BYTEARRAY8: "<Q"}
TEXTS = {pickle.SHORT_BINUNICODE: "<B", pickle.BINUNICODE: "<I", pickle.BINUNICODE8: "<Q"}
PYTHON2_STRINGS = {pickle.SHORT_BINSTRING: "<B", pickle.BINSTRING: "<i"}
PUTS = {pickle.BINPUT: "<B", pickle.LONG_BINPUT: "<I"}
GETS = {pickle.BINGET: "<B", pickle.LONG_BINGET: "<I"}
TUPLES = {pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3}


class _Machine:
    """Runs one pickle. Raises ValueError, or TypeError from a constructor, at the first unexpected instruction."""

    def __init__(self, file: BinaryIO, end: int, constructors: Constructors, persistent: Callable | None):
        self.file = file
        self.position = file.tell()
        self.end = end
        self.constructors = constructors
        self.persistent = persistent
        self.budget = BUDGET
        self.stack: list = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        if self.take(1) != pickle.PROTO or not 2 <= self.take(1)[0] <= 5:
            raise ValueError("not a pickle of protocol 2 to 5")
        while (code := self.take(1)) != pickle.STOP:
            self.spend(INSTRUCTION_COST)
            self.step(code)
        return self.pop()

    def step(self, code: bytes) -> None:
        """One instruction."""
        if code in TEXTS:
            self.stack.append(self.text(TEXTS[code]))
        elif code in NUMBERS:
            self.stack.append(self.number(NUMBERS[code]))
        elif code in PUTS:
            self.memo[self.number(PUTS[code])] = self.top()
        elif code in GETS:
            self.stack.append(self.recall(self.number(GETS[code])))
        elif code in TUPLES:
            self.stack.append(tuple(self.pops(TUPLES[code])))
        elif code in CONSTANTS:
            self.stack.append(CONSTANTS[code])
        elif code in CONTAINERS:
            self.stack.append(CONTAINERS[code]())
        elif code in BYTES:
            self.stack.append(self.string(BYTES[code]))
        elif code in PYTHON2_STRINGS:
            value = self.string(PYTHON2_STRINGS[code])
            self.stack.append(value.decode("latin1") if isinstance(value, bytes) else value)
        elif code in LONGS:
            self.stack.append(self.long(LONGS[code]))
        elif code in ACTIONS:
            ACTIONS[code](self)
        else:
            names = [name for name, value in vars(pickle).items() if name.isupper() and value == code]
            raise ValueError(f"pickle instruction {names[0] if names else code!r} has no place in a checkpoint")

    # Reading

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        self.advance(count)
        data = self.file.read(count)
        if len(data) != count:
            raise ValueError("the pickle ends too early")
        return data

    def advance(self, count: int) -> None:
        if count < 0 or count > self.end - self.position:
            raise ValueError("the pickle ends too early")
        self.position += count

    def spend(self, cost: int) -> None:
        self.budget -= cost
        if self.budget < 0:
            raise ValueError("the pickle describes more objects than a checkpoint has")

    def number(self, form: str) -> int:
        """A whole number in a format of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def long(self, form: str) -> int:
        length = self.number(form)
        if length > 255:
            raise ValueError("a number of more than 255 bytes")
        return int.from_bytes(self.take(length), "little", signed=True)

    def string(self, form: str) -> bytes | FileBytes:
        """A string that stands behind its length, in a format of `struct`."""
        length = self.number(form)
        if length <= INLINE:
            self.spend(max(length, 0))
            return self.take(length)
        start = self.position
        self.advance(length)
        self.file.seek(self.position)
        return FileBytes(start, length)

    def text(self, form: str) -> str | FileBytes:
        value = self.string(form)
        if isinstance(value, FileBytes):
            return FileBytes(value.offset, value.length, text=True)
        return value.decode("utf-8", "surrogatepass")

    def line(self) -> str:
        data = self.file.readline(min(INLINE, self.end - self.position))
        self.advance(len(data))
        self.spend(len(data))
        if not data.endswith(b"\n"):
            raise ValueError("a name without an end")
        return data[:-1].decode("utf-8")

    # The stack

    def top(self) -> object:
        # Values below the last mark are out of reach until the mark is removed.
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("the pickle takes more values than are on its stack")
        return self.stack[-1]

    def pop(self) -> object:
        self.top()
        return self.stack.pop()

    def pops(self, count: int) -> list:
        return [self.pop() for _ in range(count)][::-1]

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def pop_mark(self) -> list:
        """Remove the last mark, and return all values above it."""
        if not self.marks:
            raise ValueError("the pickle removes a mark that it has not set")
        height = self.marks.pop()
        items = self.stack[height:]
        del self.stack[height:]
        return items

    def pop_or_unmark(self) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.pop()

    def recall(self, index: int) -> object:
        if index not in self.memo:
            raise ValueError("the pickle refers to a value that it has not memoized")
        return self.memo[index]

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.top()

    # Containers

    def append(self, items: list) -> None:
        if (target := self.filled(list)) is not None:
            target.extend(items)

    def set_items(self, items: list) -> None:
        if len(items) % 2:
            raise ValueError("a key without a value")
        if (target := self.filled(dict)) is not None:
            target.update(zip(map(checked_key, items[::2]), items[1::2], strict=True))

    def add_items(self, items: list) -> None:
        if (target := self.filled(set)) is not None:
            target.update(map(checked_key, items))

    def filled(self, kind: type[Container]) -> Container | None:
        """The container on top of the stack; None for a placeholder, whose items are dropped."""
        target = self.top()
        if isinstance(target, Placeholder):
            return None
        if type(target) is not kind:
            raise ValueError(f"something other than a {kind.__name__} is filled like one")
        return target

    def frozen_set(self) -> None:
        self.stack.append(frozenset(map(checked_key, self.pop_mark())))

    # Names, calls and states

    def global_name(self) -> None:
        module = self.line()
        self.stack.append(Symbol(f"{module}.{self.line()}"))

    def stack_global(self) -> None:
        module, name = self.pops(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a global name that is not text")
        self.spend(len(module) + len(name))
        self.stack.append(Symbol(f"{module}.{name}"))

    def call(self) -> None:
        self.spend(CALL_COST)
        function, arguments = self.pops(2)
        if not isinstance(function, (Symbol, Placeholder)):
            raise ValueError(f"a call of {shown(function)} was refused: it is not a global name")
        if isinstance(function, Placeholder) or function.name not in self.constructors:
            self.stack.append(Placeholder(function.name))
            return
        # Passing arguments copies them: a long tuple that is passed repeatedly would cost more than the budget counts.
        if not isinstance(arguments, tuple) or len(arguments) > 16:
            raise ValueError(f"a call of {shown(function.name)} without a short tuple of arguments")
        unknown = next((argument for argument in arguments if isinstance(argument, Placeholder)), None)
        self.stack.append(unknown or self.constructors[function.name](*arguments))

    def call_with_keywords(self) -> None:
        self.pop()  # our constructors have none
        self.call()

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Buildable):
            target.set_state(state)
        # A dict's state holds attributes: PyTorch keeps the versions of a network's modules in one, Lightning others.
        elif not isinstance(target, (Placeholder, dict)):
            raise ValueError(f"a state for {shown(getattr(target, 'name', target))} was refused")

    def persistent_id(self) -> None:
        self.spend(CALL_COST)
        if self.persistent is None:
            raise ValueError("a persistent id, which only PyTorch's files have")
        self.stack.append(self.persistent(self.pop()))


ACTIONS: dict[bytes, Callable[[_Machine], object]] = {
    pickle.FRAME: lambda m: m.take(8),  # the length of a block for readers that buffer: not needed here
    pickle.BINFLOAT: lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
    pickle.MARK: _Machine.mark,
    pickle.POP: _Machine.pop_or_unmark,
    pickle.POP_MARK: _Machine.pop_mark,
    pickle.DUP: lambda m: m.stack.append(m.top()),
    pickle.MEMOIZE: _Machine.memoize,
    pickle.TUPLE: lambda m: m.stack.append(tuple(m.pop_mark())),
    pickle.LIST: lambda m: m.stack.append(m.pop_mark()),
    pickle.APPEND: lambda m: m.append([m.pop()]),
    pickle.APPENDS: lambda m: m.append(m.pop_mark()),
    pickle.SETITEM: lambda m: m.set_items(m.pops(2)),
    pickle.SETITEMS: lambda m: m.set_items(m.pop_mark()),
    pickle.ADDITEMS: lambda m: m.add_items(m.pop_mark()),
    pickle.FROZENSET: _Machine.frozen_set,
    pickle.GLOBAL: _Machine.global_name,
    pickle.STACK_GLOBAL: _Machine.stack_global,
    pickle.REDUCE: _Machine.call,
    pickle.NEWOBJ: _Machine.call,
    pickle.NEWOBJ_EX: _Machine.call_with_keywords,
    pickle.BUILD: _Machine.build,
    pickle.BINPERSID: _Machine.persistent_id,
}


def checked_key(key: object) -> object:
    """`key`, if it is cheap to hash: large numbers may be chosen to collide. A tuple becomes a placeholder: nested ones
    may take exponential time."""
    if key is None or isinstance(key, (str, bytes, float, Symbol, Placeholder, FileBytes)):
        return key
    if isinstance(key, int) and abs(key) < 2**64:
        return key
    if isinstance(key, (tuple, frozenset)):
        return Placeholder(type(key).__name__)
    raise ValueError(f"{shown(key)} as a key")


def checked_shape(value: object) -> tuple[int, ...]:
    """A tuple or list from a file as a shape. Raises ValueError unless an array can have it."""
    if not isinstance(value, (tuple, list)) or len(value) > 32 or any(type(n) is not int for n in value):
        raise ValueError("a shape that is not a short tuple of whole numbers")
    count = 1
    for n in value:
        # Zeros are left out of the product: NumPy multiplies the sizes of empty arrays as well.
        count *= max(n, 1)
        if n < 0 or count > 2**48:
            raise ValueError("a shape with sizes that are negative or too large")
    return tuple(value)
