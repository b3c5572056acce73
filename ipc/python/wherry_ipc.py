"""Wherry channels: messages between the services of one device through shared memory.

Over libwherry-ipc.so.1, which it finds beside itself or where the loader looks. Needs Python 3.9 and nothing else.
docs/channels.md has the guarantees and a quick start. A publisher or subscriber belongs to one thread at a time; any
thread may close it.

    with wherry_ipc.open_publisher("frames") as publisher:
        publisher.publish(b"...")

    with wherry_ipc.open_subscriber("frames") as subscriber:
        for message in subscriber:
            print(message.publisher, message.sequence, message.data)
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, Union

__all__ = [
    "ChannelInfo", "Message", "Publisher", "PublisherStats", "Subscriber", "SubscriberStats", "WherryIpcError",
    "list_channels", "open_publisher", "open_subscriber", "wait_any",
]

Data = Union[bytes, bytearray, memoryview]

_NAME_MAX = 64
_EAGAIN = -7
_ESYSTEM = -9
_CODES = {
    -1: "WIPC_EINVAL", -2: "WIPC_ENOENT", -3: "WIPC_EROLE", -4: "WIPC_EFORMAT", -5: "WIPC_EBUSY",
    -6: "WIPC_ETOOBIG", -7: "WIPC_EAGAIN", -8: "WIPC_ENOMEM", -9: "WIPC_ESYSTEM",
}
_MODES = ("lossy", "latest", "reliable")
_SLICE_MS = 200  # the longest sleep in the library: in between Python runs its signal handlers (Ctrl-C)
_MAX_MS = 2**31 - 1


class _Info(ctypes.Structure):
    _fields_ = [("channel", c_char * _NAME_MAX), ("publish", c_int), ("subscribe", c_int), ("slot_size", c_uint32),
                ("depth", c_uint32), ("mode", c_uint32), ("publishers", c_uint32), ("subscribers", c_uint32)]


class _Message(ctypes.Structure):
    _fields_ = [("sequence", c_uint64), ("timestamp_ns", c_uint64), ("type", c_uint32), ("length", c_uint32),
                ("publisher", c_uint32), ("epoch", c_uint32), ("lost", c_uint64), ("data", c_void_p)]


class _PublisherStats(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in
                ("published", "bytes", "dropped", "blocked", "wakes", "last_publish_ns")] + [("epoch", c_uint32)]


class _SubscriberStats(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in
                ("received", "overruns", "resets", "torn", "lost", "lag", "last_ns")]


def _load(kind: type[ctypes.CDLL]) -> ctypes.CDLL:
    name = "libwherry-ipc.so.1"
    beside = Path(__file__).resolve().parent / name
    # use_errno: WIPC_ESYSTEM leaves the reason there.
    library = kind(str(beside) if beside.exists() else name, use_errno=True)
    handle, out = c_void_p, POINTER(c_void_p)
    handles = POINTER(c_void_p)
    signatures = {
        "wipc_list": (c_int, c_char_p, c_char_p, POINTER(_Info), c_size_t),
        "wipc_publisher_open": (c_int, c_char_p, c_char_p, c_char_p, out),
        "wipc_publish": (c_int, handle, c_void_p, c_size_t, c_uint32, c_int),
        "wipc_reserve": (c_int, handle, c_size_t, c_int, out),
        "wipc_commit": (c_int, handle, c_size_t, c_uint32),
        "wipc_publisher_info": (None, handle, POINTER(_Info)),
        "wipc_publisher_stat": (c_int, handle, POINTER(_PublisherStats)),
        "wipc_publisher_close": (None, handle),
        "wipc_subscriber_open": (c_int, c_char_p, c_char_p, c_char_p, out),
        "wipc_take": (c_int, handle, c_void_p, c_size_t, POINTER(_Message)),
        "wipc_view": (c_int, handle, POINTER(_Message)),
        "wipc_view_end": (c_int, handle),
        "wipc_wait": (c_int, handles, c_size_t, c_int),
        "wipc_spin": (c_int, handles, c_size_t, ctypes.c_uint),
        "wipc_subscriber_info": (None, handle, POINTER(_Info)),
        "wipc_subscriber_publisher": (c_char_p, handle, c_uint32),
        "wipc_subscriber_stat": (c_int, handle, POINTER(_SubscriberStats)),
        "wipc_subscriber_close": (None, handle),
        "wipc_strerror": (c_char_p, c_int),
    }
    for function, (result, *arguments) in signatures.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return library


# What returns at once keeps the interpreter's lock: cheaper, and no other thread can close the handle meanwhile.
_lib = _load(ctypes.PyDLL)
# What may sleep lets other threads run, and holds the lock of its handles against close().
_sleeping = _load(ctypes.CDLL)


class WherryIpcError(Exception):
    """`code` is one of wherry_ipc.h: WIPC_ENOENT, WIPC_EROLE, WIPC_EBUSY, WIPC_ETOOBIG, WIPC_EAGAIN, ..."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def _failure(action: str, channel: str, code: int) -> WherryIpcError:
    text = _lib.wipc_strerror(code).decode()
    if code == _ESYSTEM:
        text += f" ({os.strerror(ctypes.get_errno())})"
    return WherryIpcError(f'Cannot {action} "{channel}": {text}', _CODES.get(code, "WIPC_EINVAL"))


def _text(value: Optional[str]) -> Optional[bytes]:
    return None if value is None else os.fsencode(value)


@dataclass(frozen=True)
class ChannelInfo:
    channel: str
    mode: str
    slot_size: int
    depth: int
    publishers: int
    subscribers: int
    publish: bool
    subscribe: bool


def _channel_info(info: _Info) -> ChannelInfo:
    mode = _MODES[info.mode] if info.mode < len(_MODES) else "unknown"
    return ChannelInfo(info.channel.decode(), mode, info.slot_size, info.depth, info.publishers, info.subscribers,
                       bool(info.publish), bool(info.subscribe))


@dataclass(frozen=True)
class PublisherStats:
    """All since the channel was made, over all starts of this publisher."""

    published: int
    bytes: int
    dropped: int
    blocked: int
    wakes: int
    last_publish_ns: int
    epoch: int


@dataclass(frozen=True)
class SubscriberStats:
    received: int
    overruns: int
    resets: int
    torn: int
    lost: int
    lag: int
    last_ns: int


class Message:
    """`data` is bytes; a memoryview where the memory is the caller's (take_into) or the ring's (view)."""

    __slots__ = ("data", "type", "publisher", "sequence", "epoch", "lost", "timestamp_ns")

    def __init__(self, data: Union[bytes, memoryview], publisher: str, told: _Message) -> None:
        self.data = data
        self.publisher = publisher
        self.type: int = told.type
        self.sequence: int = told.sequence
        self.epoch: int = told.epoch
        self.lost: int = told.lost
        self.timestamp_ns: int = told.timestamp_ns

    def __repr__(self) -> str:
        return (f"Message(publisher={self.publisher!r}, sequence={self.sequence}, type={self.type}, "
                f"length={len(self.data)}, lost={self.lost})")


def list_channels(dir: Optional[str] = None, service: Optional[str] = None) -> list[ChannelInfo]:
    """Channels of this service, by name. None: WHERRY_IPC_DIR and WHERRY_SERVICE, here and below."""
    room = 64
    while True:
        infos = (_Info * room)()
        count = _lib.wipc_list(_text(dir), _text(service), infos, room)
        if count < 0:
            raise _failure("list the channels of", service or os.environ.get("WHERRY_SERVICE", ""), count)
        if count <= room:
            return [_channel_info(info) for info in infos[:count]]
        room = count


class Publisher:
    """One process of a service at a time; open_publisher makes it."""

    def __init__(self, channel: str, dir: Optional[str] = None, service: Optional[str] = None) -> None:
        self._closed = True
        self._lent = False  # the body of a `with` has memory of the ring
        self._lock = threading.RLock()
        handle = c_void_p()
        code = _lib.wipc_publisher_open(_text(dir), _text(service), _text(channel), byref(handle))
        if code != 0:
            raise _failure("publish to", channel, code)
        self._handle = handle
        self._closed = False
        info = _Info()
        _lib.wipc_publisher_info(handle, byref(info))
        self.info = _channel_info(info)

    def publish(self, data: Data, type: int = 0, timeout: Optional[float] = None) -> bool:
        """Copies the message into the ring. False: reliable, and a subscriber was too slow; nothing was published.

        timeout, in seconds: how long to wait for that subscriber; None: as long as the channel says.
        """
        view = memoryview(data)
        if not view.c_contiguous:
            raise ValueError("Cannot publish: the data must be contiguous")
        length = view.nbytes
        # ctypes points into bytes and into writable memory; only what is neither must be copied.
        if isinstance(data, bytes):
            source: object = c_char_p(data)
        elif view.readonly:
            source = c_char_p(view.tobytes())
        else:
            source = (c_char * length).from_buffer(view) if length > 0 else c_char_p(b"")
        memory = ctypes.cast(source, c_void_p)
        if self.info.mode != "reliable":
            return self._sent(_lib.wipc_publish(self._own(), memory, length, type, 0))
        with self._lock:
            return self._sent(_sleeping.wipc_publish(self._own(), memory, length, type, _ms(timeout)))

    @contextmanager
    def write(self, length: int, type: int = 0, timeout: Optional[float] = None) -> Iterator[memoryview]:
        """Without a copy: the body of `with` writes into the ring itself. Publishes nothing when it raises.

        The memory must not be used after the body. A reliable channel with a subscriber that is too slow: TimeoutError.
        """
        slot = c_void_p()
        with self._lock:
            if not self._sent(_sleeping.wipc_reserve(self._own(), length, _ms(timeout), byref(slot))):
                raise TimeoutError(f'Cannot publish to "{self.info.channel}": a subscriber is too slow')
            view = memoryview((c_char * length).from_address(slot.value or 0)).cast("B")
            self._lent = True
            try:
                yield view
            finally:
                self._lent = False
                view.release()
            self._sent(_lib.wipc_commit(self._own(), length, type))

    def stats(self) -> PublisherStats:
        stats = _PublisherStats()
        _lib.wipc_publisher_stat(self._own(), byref(stats))
        return PublisherStats(*(getattr(stats, name) for name, _ in _PublisherStats._fields_))

    def close(self) -> None:
        _close(self, _lib.wipc_publisher_close)

    def _own(self) -> c_void_p:
        if self._closed:
            raise WherryIpcError(f'Cannot publish to "{self.info.channel}": the publisher is closed', "WIPC_EINVAL")
        return self._handle

    def _sent(self, code: int) -> bool:
        if code == _EAGAIN:
            return False
        if code != 0:
            raise _failure("publish to", self.info.channel, code)
        return True

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Subscriber:
    """One process of a service at a time; open_subscriber makes it."""

    def __init__(self, channel: str, dir: Optional[str] = None, service: Optional[str] = None) -> None:
        self._closed = True
        self._lent = False  # the body of a `with` has memory of the ring
        self._lock = threading.RLock()
        handle = c_void_p()
        code = _lib.wipc_subscriber_open(_text(dir), _text(service), _text(channel), byref(handle))
        if code != 0:
            raise _failure("subscribe to", channel, code)
        self._handle = handle
        self._closed = False
        info = _Info()
        _lib.wipc_subscriber_info(handle, byref(info))
        self.info = _channel_info(info)
        self.publisher_names = [_lib.wipc_subscriber_publisher(handle, i).decode() for i in range(info.publishers)]
        self._alone = (c_void_p * 1)(handle)
        self._told = _Message()
        self._buffer = (c_char * info.slot_size)()
        self._bytes = memoryview(self._buffer).cast("B")

    def take(self) -> Optional[Message]:
        """The next message, a copy; None: none now."""
        told = self._told
        code = _lib.wipc_take(self._own(), self._buffer, len(self._bytes), byref(told))
        if code == 1:
            return Message(bytes(self._bytes[: told.length]), self.publisher_names[told.publisher], told)
        if code == 0:
            return None
        raise _failure("take from", self.info.channel, code)

    def take_into(self, memory: Union[bytearray, memoryview]) -> Optional[Message]:
        """The next message into memory of the caller's. WIPC_ETOOBIG, and it is still there, when it does not fit."""
        view = memoryview(memory).cast("B")
        told = self._told
        target = (c_char * len(view)).from_buffer(view)
        code = _lib.wipc_take(self._own(), target, len(view), byref(told))
        if code == 1:
            return Message(view[: told.length], self.publisher_names[told.publisher], told)
        if code == 0:
            return None
        raise _failure("take from", self.info.channel, code)

    @contextmanager
    def view(self) -> Iterator[Optional[View]]:
        """Without a copy, for publishers that you trust: the body of `with` reads the ring itself; None: no message.

        Its publisher may overwrite it meanwhile: what the body made of it counts only when view.is_whole() says so
        afterwards. The memory must not be used after the body.
        """
        told = self._told
        with self._lock:
            code = _lib.wipc_view(self._own(), byref(told))
            if code < 0:
                raise _failure("take from", self.info.channel, code)
            if code == 0:
                yield None
                return
            memory = memoryview((c_char * told.length).from_address(told.data)).cast("B").toreadonly()
            view = View(memory, self.publisher_names[told.publisher], told)
            self._lent = True
            try:
                yield view
            finally:
                self._lent = False
                memory.release()
                view._whole = _lib.wipc_view_end(self._own()) == 1

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Sleeps until there is a message: True, or for `timeout` seconds: False. None: no end."""
        end = _end(timeout)
        while True:
            with self._lock:
                self._own()
                code = _sleeping.wipc_wait(self._alone, 1, _slice_ms(end))
            if code < 0:
                raise _failure("wait for", self.info.channel, code)
            if code == 1 or (end is not None and time.monotonic() >= end):
                return code == 1

    def messages(self, timeout: Optional[float] = None) -> Iterator[Message]:
        """Ends when none has come for `timeout` seconds, or when the subscriber is closed."""
        while not self._closed:
            message = self.take()
            if message is not None:
                yield message
            elif not self._wait_open(timeout):
                return

    def _wait_open(self, timeout: Optional[float]) -> bool:
        try:
            return self.wait(timeout)
        except WherryIpcError:
            if self._closed:
                return False
            raise

    def __iter__(self) -> Iterator[Message]:
        return self.messages()

    def stats(self) -> SubscriberStats:
        stats = _SubscriberStats()
        _lib.wipc_subscriber_stat(self._own(), byref(stats))
        return SubscriberStats(*(getattr(stats, name) for name, _ in _SubscriberStats._fields_))

    def close(self) -> None:
        _close(self, _lib.wipc_subscriber_close)

    def _own(self) -> c_void_p:
        if self._closed:
            raise WherryIpcError(f'Cannot take from "{self.info.channel}": the subscriber is closed', "WIPC_EINVAL")
        return self._handle

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class View(Message):
    """A message that still lies in the ring."""

    __slots__ = ("_whole",)

    def __init__(self, data: memoryview, publisher: str, told: _Message) -> None:
        super().__init__(data, publisher, told)
        self._whole: Optional[bool] = None

    def is_whole(self) -> bool:
        """After the body of `with`: True, what was read is the message; False, it was overwritten meanwhile."""
        if self._whole is None:
            raise RuntimeError("Cannot tell whether the message was whole: its view is still open")
        return self._whole


def _close(end: Union[Publisher, Subscriber], close: Callable[[c_void_p], None]) -> None:
    if end._closed:
        return
    if end._lent:
        raise WherryIpcError(f'Cannot close "{end.info.channel}": its memory is still in use', "WIPC_EINVAL")
    # First the word, then the lock: one that waits in slices must not take it again and again.
    end._closed = True
    with end._lock:
        close(end._handle)


def wait_any(subscribers: Sequence[Subscriber], timeout: Optional[float] = None) -> list[Subscriber]:
    """Sleeps until one has a message; gives those that have, none when `timeout` seconds have passed."""
    end = _end(timeout)
    while True:
        with ExitStack() as held:
            for subscriber in subscribers:
                held.enter_context(subscriber._lock)
            code = _sleeping.wipc_wait(_handles(subscribers), len(subscribers), _slice_ms(end))
            ready = [s for s in subscribers if _lib.wipc_spin(s._alone, 1, 1)]
        if code < 0:
            raise _failure("wait for", ", ".join(subscriber.info.channel for subscriber in subscribers), code)
        if ready or (end is not None and time.monotonic() >= end):
            return ready


def _end(timeout: Optional[float]) -> Optional[float]:
    return None if timeout is None else time.monotonic() + timeout


def _slice_ms(end: Optional[float]) -> int:
    return _SLICE_MS if end is None else max(0, min(_SLICE_MS, int((end - time.monotonic()) * 1000 + 0.999)))


def _handles(subscribers: Sequence[Subscriber]) -> ctypes.Array[c_void_p]:
    return (c_void_p * len(subscribers))(*(subscriber._own() for subscriber in subscribers))


def _ms(timeout: Optional[float]) -> int:
    return -1 if timeout is None else min(_MAX_MS, max(0, round(timeout * 1000)))


def open_publisher(channel: str, dir: Optional[str] = None, service: Optional[str] = None) -> Publisher:
    """WIPC_EBUSY while another process of this service publishes there."""
    return Publisher(channel, dir, service)


def open_subscriber(channel: str, dir: Optional[str] = None, service: Optional[str] = None) -> Subscriber:
    """WIPC_EBUSY while another process of this service subscribes there."""
    return Subscriber(channel, dir, service)
