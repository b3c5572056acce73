"""peer.c says what it does. PYTHONPATH: the folder that ipc/build.ts fills."""
import sys
import zlib

import wherry_ipc


def publish(channel: str, count: int, size: int) -> None:
    plain = bytes((7 * k + (k >> 8)) % 256 for k in range(size))
    with wherry_ipc.open_publisher(channel) as publisher:
        for i in range(count):
            shifted = bytes((byte + 13 * i) % 256 for byte in range(256))
            if not publisher.publish(plain.translate(shifted), type=i):
                sys.exit("Cannot publish: a subscriber is too slow")


def subscribe(channel: str, count: int) -> None:
    with wherry_ipc.open_subscriber(channel) as subscriber:
        for taken, m in enumerate(subscriber.messages(timeout=30), start=1):
            print(m.publisher, m.sequence, m.type, len(m.data), f"{zlib.crc32(m.data):08x}", m.lost)
            if taken == count:
                return
    sys.exit("Cannot go on: no message for 30 s")


role, channel, *numbers = sys.argv[1:]
(publish if role == "pub" else subscribe)(channel, *map(int, numbers))
