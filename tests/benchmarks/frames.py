"""Where the threads of a CPython 3.11 at work stand, read from outside while it is stopped.

A thread that is inside a system call waits, or has the kernel work for it: it is passed over.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from msgspec import Struct

VERSION = (3, 11)
"""Other versions have other structures."""
TELL_STATE = """
import ctypes, pathlib
get = ctypes.pythonapi.PyThreadState_Get
get.restype = ctypes.c_void_p
pathlib.Path({path!r}).write_text(str(get()))
"""
"""Run in the main thread, it tells where that thread's state is."""

# Offsets in bytes, of pycore_pystate.h, pystate.h, pycore_frame.h, code.h and unicodeobject.h.
_NEWER_THREAD, _CFRAME, _NATIVE_ID = 0, 56, 160
_CURRENT_FRAME, _CODE, _PREVIOUS, _FILE_NAME = 8, 32, 48, 112
_TEXT_LENGTH, _TEXT = 16, 48
_DEEPEST = 200
"""Frames of one thread that are looked at: a stack that was caught half changed may be a ring."""


class Stack(Struct, frozen=True):
    """One thread at work."""

    is_main: bool
    files: list[str]
    """Of its frames, the innermost first."""


class Threads:
    """The threads of a process of ours."""

    def __init__(self, pid: int, main: int) -> None:
        """Look at a process whose main thread has its state at an address."""
        self._pid = pid
        self._main = main
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)

    def close(self) -> None:
        os.close(self._memory)

    def at_work(self) -> list[Stack]:
        """Stop the process for a moment, and return the stack of each thread that was running."""
        os.kill(self._pid, SIGSTOP)
        os.waitid(os.P_PID, self._pid, os.WSTOPPED)
        try:
            return [
                Stack(state == self._main, list(self.files(state)))
                for state in self._states()
                if self._is_running(self._number(state + _NATIVE_ID))
            ]
        except OSError:  # a frame that was half made
            return []
        finally:
            os.kill(self._pid, SIGCONT)

    def _is_running(self, thread: int) -> bool:
        try:
            return Path(f"/proc/{self._pid}/task/{thread}/syscall").read_text().startswith("-1 ")
        except FileNotFoundError:  # it has just ended
            return False

    def _states(self) -> Iterator[int]:
        state = self._main
        while state:
            yield state
            state = self._number(state + _NEWER_THREAD)

    def files(self, state: int) -> Iterator[str]:
        """Name the files of a thread's frames."""
        frame = self._number(self._number(state + _CFRAME) + _CURRENT_FRAME)
        for _ in range(_DEEPEST):
            if not frame:
                return
            yield self._text(self._number(self._number(frame + _CODE) + _FILE_NAME))
            frame = self._number(frame + _PREVIOUS)

    def _text(self, at: int) -> str:
        return os.pread(self._memory, self._number(at + _TEXT_LENGTH), at + _TEXT).decode("latin-1")

    def _number(self, at: int) -> int:
        return struct.unpack("<Q", os.pread(self._memory, 8, at))[0]
