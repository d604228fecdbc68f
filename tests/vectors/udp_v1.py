#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden vectors of the udp protocol, version 1, made from the byte tables of docs/protocol.md
section 5 alone: nothing of lib/ is used, so that a mistake there is not made here too.

Usage: udp_v1.py --write FOLDER    one file a vector
       udp_v1.py --check FOLDER    does FOLDER hold exactly these?
       udp_v1.py --pcap FILE       datagrams to port 7461, frames each unsealed to port 7471,
                                   as raw IPv4: for the dissector
       udp_v1.py --mutated N FILE  N of these and of the ADC vectors (port 7462), most with faults made
                                   in them: the same ones every time
       udp_v1.py --expect          what is in those of --pcap, a line each, as net/describe writes it

tests/net/test_udp_vectors.c has the same values by hand and compares encoder and decoder.
"""
import os
import struct
import sys
from random import Random


def count(first, n):
    return bytes((first + i) & 0xFF for i in range(n))


def head(kind, name):
    return b"DU" + struct.pack("<BBI", 1, kind, name)


def init(name, key, cookie, message):
    out = head(1, name) + key + cookie + message
    return out + bytes(1200 - len(out))


def frame(kind, body):
    return struct.pack("<BBH", kind, 0, len(body)) + body


def read(ident, kind, index, offset, size, argument):
    return frame(3, struct.pack("<IIIIIQ", ident, kind, index, offset, size, argument))


def answer(ident, status, seq, offset, data):
    return frame(4, struct.pack("<IiQI", ident, status, seq, offset) + data)


def ask(beat, first, groups):
    return frame(5, struct.pack("<QI", beat, first) + b"".join(struct.pack("<I", g) for g in groups))


def pulse(generation, heartbeat, state, first, owners, counters, groups):
    body = struct.pack("<QQIIHHHH", generation, heartbeat, state, first, len(owners), len(counters), len(groups), 0)
    body += b"".join(struct.pack("<QII", *line) for line in owners)
    body += b"".join(struct.pack("<Q", c) for c in counters)
    body += b"".join(struct.pack("<IQ", *g) for g in groups)
    return frame(6, body)


def subscribe(ident, interval, nth, generation, wishes):
    return frame(12, struct.pack("<IIIQ", ident, interval, nth, generation) +
                 b"".join(struct.pack("<IIdQI", *wish) for wish in wishes))


def commit(number, group, kind, rest):
    return struct.pack("<QII", number, group, kind) + rest


NAME = 0x04030201
BIG = 0xF8F7F6F5F4F3F2F1
FLOW = 1 << 63

# name: (bytes, what is in it)
DATAGRAMS = {
    "init": (init(NAME, count(0x10, 8), count(0x20, 16), count(0x40, 64)),
             f"INIT version=1 name={NAME} key_id={count(0x10, 8).hex()} cookie={count(0x20, 16).hex()} "
             f"message={count(0x40, 64).hex()}"),
    "init-first": (init(0xFFFFFFFE, bytes(8), bytes(16), count(0x80, 64)),
                   f"INIT version=1 name={0xFFFFFFFE} key_id={bytes(8).hex()} cookie={bytes(16).hex()} "
                   f"message={count(0x80, 64).hex()}"),
    "cookie": (head(2, NAME) + count(0x20, 16), f"COOKIE version=1 name={NAME} cookie={count(0x20, 16).hex()}"),
    "resp": (head(3, NAME) + count(0x60, 64), f"RESP version=1 name={NAME} message={count(0x60, 64).hex()}"),
    "data-control": (head(4, 0x0A0B0C0D) + struct.pack("<Q", 0x0102030405060708) + count(0, 40) + count(0xE0, 16),
                     f"DATA version=1 name={0x0A0B0C0D} flow=0 counter={0x0102030405060708} "
                     f"sealed={count(0, 40).hex()} tag={count(0xE0, 16).hex()}"),
    "data-data": (head(4, 7) + struct.pack("<Q", FLOW | 5) + count(0x90, 16),
                  f"DATA version=1 name=7 flow=1 counter=5 tag={count(0x90, 16).hex()}"),
    "refuse": (head(5, NAME) + bytes([1, 1, 3, 0]), f"REFUSE version=1 name={NAME} cause=1 lowest=1 highest=3"),
    "reset": (head(6, 0x0A0B0C0D) + struct.pack("<Q", FLOW | 9),
              f"RESET version=1 name={0x0A0B0C0D} flow=1 counter=9"),
}

FRAMES = {
    "segment": (frame(1, struct.pack("<IHH", 0x01020304, 3, 0) + count(1, 5)),
                f"SEGMENT seq={0x01020304} flags=3 data={count(1, 5).hex()}"),
    "ack": (frame(2, struct.pack("<IQ", 0x01020304, BIG)), f"ACK next={0x01020304} beyond={BIG}"),
    "read": (read(1, 4, 2, 3, 32768, BIG), f"READ id=1 kind=4 index=2 offset=3 bytes=32768 argument={BIG}"),
    "answer": (answer(0x0A0B0C0D, 0, BIG, 1024, count(0x30, 64)),
               f"ANSWER id={0x0A0B0C0D} status=0 commit={BIG} offset=1024 data={count(0x30, 64).hex()}"),
    "answer-no": (answer(2, -90, 0, 0, b""), "ANSWER id=2 status=-90 commit=0 offset=0"),
    "ask": (ask(BIG, 3, [0, 0x01020304, 7]), f"ASK beat={BIG} first_owner=3 group=0 group={0x01020304} group=7"),
    "pulse": (pulse(BIG, 2, 1, 0, [(0x1_0000_0002, 3, 4), (BIG, 5, 6)], [10, BIG, 12], [(0, 1), (9, BIG)]),
              f"PULSE generation={BIG} heartbeat=2 state=1 first_owner=0 owners=2 counters=3 groups=2 "
              f"bank={0x1_0000_0002} epoch=3 pid=4 bank={BIG} epoch=5 pid=6 value=10 value={BIG} value=12 "
              f"group=0 commit=1 group=9 commit={BIG}"),
    "wait": (frame(7, struct.pack("<IQ", 5, BIG)), f"WAIT group=5 since={BIG}"),
    "notify": (frame(8, struct.pack("<IQ", 6, BIG)), f"NOTIFY group=6 commit={BIG}"),
    "committed": (frame(9, struct.pack("<iQ", -130, BIG)), f"COMMITTED status=-130 number={BIG}"),
    "close": (frame(10, struct.pack("<i", -110)), "CLOSE status=-110"),
    "subscribe": (subscribe(7, 50000, 1, BIG, [(3, 0, 0.0, 0, 0), (0x01020304, 2, 2.5, BIG, 9)]),
                  f"SUBSCRIBE id=7 interval=50000 nth=1 generation={BIG} group=3 change=0 band=0 commit=0 epoch=0 "
                  f"group={0x01020304} change=2 band={0x4004000000000000} commit={BIG} epoch=9"),
    "subscribed": (frame(13, struct.pack("<Ii", 7, -28)), "SUBSCRIBED id=7 status=-28"),
    "unsubscribe": (frame(14, struct.pack("<I", 0x0A0B0C0D)), f"UNSUBSCRIBE id={0x0A0B0C0D}"),
    "update": (frame(15, struct.pack("<IIQ", 7, 1, BIG) + count(0x50, 64)),
               f"UPDATE id=7 index=1 commit={BIG} data={count(0x50, 64).hex()}"),
    "update-long": (frame(15, struct.pack("<IIQ", 7, 0, 5)), "UPDATE id=7 index=0 commit=5"),
    "updated": (frame(16, struct.pack("<IIQ", 7, 1, BIG)), f"UPDATED id=7 index=1 commit={BIG}"),
    "several": (read(1, 2, 3, 0, 104, 0) + ask(0, 0, []) + read(2, 5, 4, 0, 0, 0),
                "READ id=1 kind=2 index=3 offset=0 bytes=104 argument=0 | ASK beat=0 first_owner=0 | "
                "READ id=2 kind=5 index=4 offset=0 bytes=0 argument=0"),
}

# inside of handshakes and of segments: what a capture does not show in the clear
INNER = {
    "offer": struct.pack("<BBHIII", 1, 2, 1400, 0x0A0B0C0D, 5000, 0),
    "commit-slot": commit(1, 2, 1, count(0, 64)),
    "commit-step": commit(2, 3, 2, struct.pack("<QII", 4, 5, 6)),
    "commit-both": commit(BIG, 0x01020304, 3, count(0, 64)),
}


def vectors():
    out = {f"datagram-{name}": data for name, (data, _) in DATAGRAMS.items()}
    out.update({f"frame-{name}": data for name, (data, _) in FRAMES.items()})
    out.update(INNER)
    return out


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(port, payload):
    address = bytes([127, 0, 0, 1])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0x4000, 64, 17, 0) + address * 2
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return ip + struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload


def mutate(random, data):
    data = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 2))):
        at = random.randrange(min(len(data), 128))
        what = random.randrange(5)
        if what == 0:
            data[at] ^= 1 << random.randrange(8)
        elif what == 1:
            data[at] = random.choice((0, 1, 2, 4, 255, random.randrange(256)))
        elif what == 2:
            del data[at + 1:]
        elif what == 3:
            data += random.randbytes(random.choice((1, 2, 4, 16, 300)))
        else:
            data[at:at + 2] = random.choice((b"\0\0", b"\xff\xff", struct.pack("<H", len(data) - at)))
    return bytes(data)


def write_pcap(path, mutated=0):
    packets = [(7461, d) for d, _ in DATAGRAMS.values()] + [(7471, d) for d, _ in FRAMES.values()]
    if mutated:
        random = Random(4)
        for name in ("adc-v1-0.bin", "adc-v1-8.bin"):
            with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "rb") as file:
                packets.append((7462, file.read()))
        packets = [(port, mutate(random, d)) for port, d in random.choices(packets, k=mutated)]
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 131072, 101))
        for i, (port, data) in enumerate(packets):
            data = packet(port, data)
            out.write(struct.pack("<IIII", i, 0, len(data), len(data)) + data)


def write(folder):
    os.makedirs(folder, exist_ok=True)
    for name, data in vectors().items():
        with open(os.path.join(folder, name + ".bin"), "wb") as out:
            out.write(data)


def check(folder):
    wanted = {name + ".bin": data for name, data in vectors().items()}
    faults = [f"{name}: not there" for name in wanted if not os.path.exists(os.path.join(folder, name))]
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            if name not in wanted:
                faults.append(f"{name}: no such vector")
            elif file.read() != wanted[name]:
                faults.append(f"{name}: other bytes than the tables give")
    for fault in faults:
        print("failed:", fault)
    print(f"{len(wanted) - len(faults)} passed, {len(faults)} failed")
    return 1 if faults else 0


def main(words):
    if words[:1] == ["--expect"]:
        print("\n".join(text for table in (DATAGRAMS, FRAMES) for _, text in table.values()))
        return 0
    if len(words) == 2 and words[0] == "--write":
        return write(words[1])
    if len(words) == 2 and words[0] == "--check":
        return check(words[1])
    if len(words) == 2 and words[0] == "--pcap":
        return write_pcap(words[1])
    if len(words) == 3 and words[0] == "--mutated":
        return write_pcap(words[2], int(words[1]))
    print(__doc__)
    return 0 if words == ["--help"] else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
