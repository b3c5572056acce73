"""The Python part of the benchmark `channels`: the roles, arguments and JSON of ipc/c/bench/bench.h, for channels."""
import argparse
import json
import time
from array import array

import wherry_ipc

WARM_UP = 1000
parser = argparse.ArgumentParser()
parser.add_argument("role", choices=("ping", "echo", "source", "sink"))
parser.add_argument("--size", type=int)
parser.add_argument("--messages", type=int)
parser.add_argument("--rate", type=float, default=0)
parser.add_argument("--out")
parser.add_argument("--in", dest="source")
o = parser.parse_args()
warm = min(WARM_UP, o.messages // 10)
memory = bytearray(o.size)
data = bytes([0x5A]) * o.size
subscriber = wherry_ipc.open_subscriber(o.source) if o.source else None
publisher = wherry_ipc.open_publisher(o.out) if o.out else None


def send() -> None:
    while not publisher.publish(data):
        pass


def receive() -> int:
    while True:
        message = subscriber.take_into(memory)
        if message is not None:
            return message.lost + 1
        subscriber.wait()


def tell(**numbers: float) -> None:
    print(json.dumps({"transport": "ring", "role": o.role, "size": o.size, **numbers}))


def flow(count: int, seconds: float, cpu: float) -> None:
    tell(messages=count, seconds=seconds, messagesPerSecond=count / seconds,
         megabytesPerSecond=count * o.size / seconds / 1e6, cpuUsPerMessage=cpu * 1e6 / count)


def ping() -> None:
    us = array("d")
    for i in range(warm + o.messages):
        before = time.perf_counter_ns()
        send()
        receive()
        if i >= warm:
            us.append((time.perf_counter_ns() - before) / 1e3)
    times = sorted(us)
    tell(rounds=o.messages, p50Us=times[len(times) // 2], p90Us=times[len(times) * 9 // 10],
         p99Us=times[len(times) * 99 // 100])


def echo() -> None:
    for _ in range(warm + o.messages):
        receive()
        send()
    tell(rounds=warm + o.messages)


def source() -> None:
    cpu, start = time.process_time(), time.perf_counter()
    for i in range(o.messages):
        wait = start + i / o.rate - time.perf_counter() if o.rate else 0
        if wait > 0:
            time.sleep(wait)
        send()
    flow(o.messages, time.perf_counter() - start, time.process_time() - cpu)


def sink() -> None:
    got = before = 0
    start = cpu = 0.0
    while got < o.messages:
        got += receive()
        if start == 0 and got > warm:
            start, before, cpu = time.perf_counter(), got, time.process_time()
    flow(got - before, time.perf_counter() - start, time.process_time() - cpu)


{"ping": ping, "echo": echo, "source": source, "sink": sink}[o.role]()
for end in (subscriber, publisher):
    if end is not None:
        end.close()
