"""Pickles read without running them.

A pickle is a program: it may name any function and call it. `pickletools` takes one apart without doing so, and here
only those of its instructions are followed that make dicts, lists, tuples, numbers and texts, or that name and call
what is on the caller's list. Anything else is refused by name. Python's own unpickler has no part in it.
"""

import pickletools
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Refused(ValueError):
  """A pickle that asks for something that is not on the list; the message names it."""


class Function(NamedTuple):
  """What a pickle may call."""

  call: Callable[..., Any]


MARK = object()
VALUES = frozenset({'INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT', 'STRING',
                    'BINSTRING', 'SHORT_BINSTRING', 'UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8',
                    'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8'})  # fmt: skip
MADE: dict[str, Callable[[], Any]] = {
  'NONE': lambda: None, 'NEWTRUE': lambda: True, 'NEWFALSE': lambda: False, 'EMPTY_DICT': dict, 'EMPTY_LIST': list,
  'EMPTY_TUPLE': tuple, 'MARK': lambda: MARK,
}  # fmt: skip
IGNORED = ('PROTO', 'FRAME')


def read(stream: Any, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> Any:
  """The object of the pickle that begins where `stream` stands; the stream then stands behind it.

  Args:
    stream: has read, readline and tell.
    names: what the pickle may name, by 'module.name'. It may call those that are a `Function`.
    persistent: of a persistent id, what it stands for.

  Raises:
    Refused: it asks for anything else.
    ValueError: it is damaged, or no pickle.
  """
  machine = Machine([], {}, names, persistent)
  try:
    for opcode, argument, _ in pickletools.genops(stream):
      if opcode.name == 'STOP':
        return machine.stack.pop()
      step(machine, opcode.name, argument)
  except Refused:
    raise
  except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, struct.error) as error:
    raise ValueError(f'no pickle, or a damaged one ({error})') from error
  raise ValueError('a pickle without an end')


class Machine(NamedTuple):
  """Where a pickle's instructions work."""

  stack: list[Any]
  memo: dict[int, Any]
  names: Mapping[str, Any]
  persistent: Callable[[Any], Any]


def step(machine: Machine, name: str, argument: Any) -> None:
  """One instruction."""
  stack, memo = machine.stack, machine.memo
  if name in VALUES:
    stack.append(argument)
  elif name in MADE:
    stack.append(MADE[name]())
  elif name in ('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
    memo[len(memo) if name == 'MEMOIZE' else argument] = stack[-1]
  elif name in ('GET', 'BINGET', 'LONG_BINGET'):
    stack.append(memo[argument])
  elif name in ('TUPLE1', 'TUPLE2', 'TUPLE3'):
    count = int(name[-1])
    stack.append(tuple([stack.pop() for _ in range(count)][::-1]))
  elif name == 'TUPLE':
    stack.append(tuple(since_mark(stack)))
  elif name in ('APPEND', 'APPENDS'):
    items = [stack.pop()] if name == 'APPEND' else since_mark(stack)
    list.extend(stack[-1], items)
  elif name in ('SETITEM', 'SETITEMS'):
    items = [stack.pop(), stack.pop()][::-1] if name == 'SETITEM' else since_mark(stack)
    dict.update(stack[-1], zip(items[::2], items[1::2], strict=True))
  elif name == 'BINPERSID':
    stack.append(machine.persistent(stack.pop()))
  elif name in ('GLOBAL', 'STACK_GLOBAL'):
    stack.append(
      named(machine, argument.replace(' ', '.', 1) if argument else '.'.join([stack.pop(), stack.pop()][::-1]))
    )
  elif name == 'REDUCE':
    arguments, function = stack.pop(), stack.pop()
    if not isinstance(function, Function):
      raise Refused(f'a call of {function!r:.80}')
    stack.append(function.call(*arguments))
  elif name == 'BUILD':  # attributes: those of a state dict say nothing of its tensors
    stack.pop()
    if not isinstance(stack[-1], dict):
      raise Refused(f'attributes of {type(stack[-1]).__name__}')
  elif name not in IGNORED:
    raise Refused(f'the instruction {name}')


def named(machine: Machine, name: str) -> Any:
  """What 'module.name' stands for."""
  if name not in machine.names:
    raise Refused(name)
  return machine.names[name]


def since_mark(stack: list[Any]) -> list[Any]:
  """What was put on the stack after the last mark, and takes both off."""
  at = len(stack) - 1
  while stack[at] is not MARK:
    at -= 1
    if at < 0:
      raise ValueError('no mark')
  items = stack[at + 1 :]
  del stack[at:]
  return items
