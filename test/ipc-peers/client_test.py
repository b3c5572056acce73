"""The Python client. Run by test/contract/ipc-python.test.ts, which makes the channels:
pipe (lossy), reliable, latest, each with slots of 4096 bytes, 8 deep, from source to sink."""
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest
from contextlib import ExitStack

import wherry_ipc
from wherry_ipc import WherryIpcError

DIR = os.environ["WHERRY_IPC_DIR"]


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)

    def publisher(self, channel: str = "pipe") -> wherry_ipc.Publisher:
        return self.stack.enter_context(wherry_ipc.open_publisher(channel, service="source"))

    def subscriber(self, channel: str = "pipe") -> wherry_ipc.Subscriber:
        subscriber = self.stack.enter_context(wherry_ipc.open_subscriber(channel, service="sink"))
        while subscriber.take() is not None:
            pass
        return subscriber

    def pair(self, channel: str = "pipe"):
        return self.publisher(channel), self.subscriber(channel)

    def fails(self, code: str, act, *arguments, **named) -> None:
        with self.assertRaises(WherryIpcError) as raised:
            act(*arguments, **named)
        self.assertEqual(raised.exception.code, code)

    def test_messages_arrive_with_what_their_publisher_said(self) -> None:
        publisher, subscriber = self.pair()
        before = time.monotonic_ns()
        self.assertTrue(publisher.publish(b"hello", type=4_000_000_000))
        message = subscriber.take()
        self.assertEqual((message.data, message.type, message.publisher, message.lost),
                         (b"hello", 4_000_000_000, "source", 0))
        self.assertTrue(before <= message.timestamp_ns <= time.monotonic_ns())
        self.assertIsNone(subscriber.take())

    def test_any_buffer_can_be_published(self) -> None:
        publisher, subscriber = self.pair()
        for data in (b"", b"ab", bytearray(b"ab"), bytearray(), memoryview(b"xaby")[1:3], memoryview(bytearray(b"ab"))):
            publisher.publish(data)
            self.assertEqual(subscriber.take().data, bytes(data))
        with self.assertRaises(ValueError):
            publisher.publish(memoryview(b"abcd")[::2])

    def test_memory_of_the_callers(self) -> None:
        publisher, subscriber = self.pair()
        publisher.publish(b"four")
        self.fails("WIPC_ETOOBIG", subscriber.take_into, bytearray(3))
        memory = bytearray(8)
        self.assertEqual(subscriber.take_into(memory).data, b"four")
        self.assertEqual(memory, b"four\0\0\0\0")

    def test_reading_and_writing_in_the_ring_itself(self) -> None:
        publisher, subscriber = self.pair()
        with publisher.write(8, type=3) as slot:
            struct.pack_into("<d", slot, 0, 1.5)
            self.fails("WIPC_EINVAL", publisher.close)
        with self.assertRaises(RuntimeError), publisher.write(8):
            raise RuntimeError("no picture")
        with subscriber.view() as view:
            self.assertEqual((struct.unpack_from("<d", view.data), view.type), ((1.5,), 3))
            self.fails("WIPC_EINVAL", subscriber.close)
            with self.assertRaises(TypeError):
                view.data[0] = 1
        self.assertTrue(view.is_whole())
        publisher.publish(b"old")
        with subscriber.view() as view:
            for _ in range(8):
                publisher.publish(b"new")
        self.assertFalse(view.is_whole())

    def test_waits_end_in_time_or_with_a_message(self) -> None:
        publisher, subscriber = self.pair()
        began = time.monotonic()
        self.assertFalse(subscriber.wait(0.3))
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertEqual(list(subscriber.messages(timeout=0)), [])
        threading.Timer(0.05, publisher.publish, [b"late"]).start()
        self.assertTrue(subscriber.wait())
        self.assertEqual(subscriber.take().data, b"late")

    def test_one_wait_for_several(self) -> None:
        publisher, subscriber = self.pair()
        other_publisher, other = self.pair("latest")
        self.assertEqual(wherry_ipc.wait_any([subscriber, other], 0), [])
        threading.Timer(0.05, other_publisher.publish, [b"x"]).start()
        self.assertEqual(wherry_ipc.wait_any([subscriber, other], 30), [other])

    def test_close_from_another_thread_ends_an_iteration(self) -> None:
        subscriber = self.subscriber()
        threading.Timer(0.05, subscriber.close).start()
        self.assertEqual(list(subscriber), [])
        self.fails("WIPC_EINVAL", subscriber.take)

    def test_an_end_belongs_to_one_and_begins_a_new_epoch(self) -> None:
        publisher, subscriber = self.pair()
        self.fails("WIPC_EBUSY", self.publisher)
        self.fails("WIPC_EBUSY", self.subscriber)
        publisher.publish(b"1")
        before = subscriber.take()
        publisher.close()
        subscriber.close()
        self.fails("WIPC_EINVAL", publisher.publish, b"")
        again = self.publisher()
        again.publish(b"2")
        with wherry_ipc.open_subscriber("pipe", service="sink") as subscriber:
            after = subscriber.take()
        self.assertEqual((after.data, after.epoch, after.sequence, after.lost),
                         (b"2", before.epoch + 1, before.sequence + 1, 0))

    def test_refusals(self) -> None:
        self.fails("WIPC_EROLE", wherry_ipc.open_publisher, "pipe", service="sink")
        self.fails("WIPC_ENOENT", wherry_ipc.open_publisher, "nothing", service="sink")
        self.fails("WIPC_EINVAL", wherry_ipc.open_publisher, "../pipe", service="sink")
        self.fails("WIPC_ETOOBIG", self.publisher().publish, bytes(4097))

    def test_a_slow_subscriber(self) -> None:
        publisher, subscriber = self.pair()
        for _ in range(20):
            publisher.publish(b"x")
        self.assertEqual([m.lost for m in subscriber.messages(0)], [16, 0, 0, 0])
        self.assertEqual((subscriber.stats().overruns > 0, subscriber.stats().lost), (True, 16))

    def test_a_slow_subscriber_of_a_reliable_channel(self) -> None:
        publisher, subscriber = self.pair("reliable")
        for _ in range(8):
            self.assertTrue(publisher.publish(b"x", timeout=0))
        self.assertFalse(publisher.publish(b"no room", timeout=0.02))
        with self.assertRaises(TimeoutError), publisher.write(1, timeout=0):
            pass
        threading.Timer(0.05, lambda: list(subscriber.messages(0))).start()
        self.assertTrue(publisher.publish(b"room", timeout=30))

    def test_channels_are_listed(self) -> None:
        listed = wherry_ipc.list_channels(service="sink")
        self.assertEqual([(c.channel, c.mode, c.slot_size, c.depth, c.publish, c.subscribe) for c in listed],
                         [(name, mode, 4096, 8, False, True)
                          for name, mode in (("latest", "latest"), ("pipe", "lossy"), ("reliable", "reliable"))])

    def test_ctrl_c_ends_a_wait_without_end(self) -> None:
        code = ("import wherry_ipc\nwith wherry_ipc.open_subscriber('latest', service='sink') as s:\n"
                "    print('open', flush=True)\n    list(iter(s.take, None))\n    s.wait()")
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
        self.assertIn(b"KeyboardInterrupt", errors)


if __name__ == "__main__":
    unittest.main()
