#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/dsm.lua makes of a capture under tshark, a line for each datagram, as net/describe
writes it from our own decoders. Nothing is taken from lib/: names and order are the dissector's.

Usage: dissect.py DSM.LUA FILE [dsm=PORT] [frames=PORT] [adc=PORT]    (the first 4,000 datagrams)
"""
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

PROTOCOLS = {"dsm": "dsm", "frames": "dsm_frames", "adc": "dsm_adc"}
TYPES = {1: "INIT", 2: "COOKIE", 3: "RESP", 4: "DATA", 5: "REFUSE", 6: "RESET"}
FRAMES = {1: "SEGMENT", 2: "ACK", 3: "READ", 4: "ANSWER", 5: "ASK", 6: "PULSE", 7: "WAIT", 8: "NOTIFY",
          9: "COMMITTED", 10: "CLOSE", 11: "PROVE", 12: "SUBSCRIBE", 13: "SUBSCRIBED", 14: "UNSUBSCRIBE",
          15: "UPDATE", 16: "UPDATED"}
HIDDEN = ("magic", "zero", "size", "type")


def text_of(name, field):
    show = field.get("show")
    if name in ("key_id", "cookie", "message", "sealed", "tag", "data"):
        return show.replace(":", "")
    return str(int(show, 0)) if name not in ("fault", "simulated", "no_epoch", "overrun", "link_lost") else str(int(show in ("1", "True")))


def line_of(packet):
    """None: no protocol of ours claims it."""
    ours = [p for p in packet.findall("proto") if p.get("name") in PROTOCOLS.values()]
    if not ours:
        return None
    words = ["ADC"] if ours[0].get("name") == "dsm_adc" else []
    for field in (f for p in ours for f in p.iter("field")):
        name = field.get("name").partition(".")[2]
        if name == "malformed" or field.get("name").startswith("_ws.malformed"):
            return "malformed"
        if name == "type":
            words.insert(0, TYPES.get(int(field.get("show")), "unknown"))
        elif name == "frame":
            words += ["|"] if words else []
            words.append(FRAMES.get(int(field.get("show")), "unknown"))
        elif name and name not in HIDDEN and not field.get("name").startswith("_ws"):
            words.append(f"{name}={text_of(name, field)}")
    return " ".join(words)


def main(script, file, ports):
    command = ["tshark", "-n", "-X", "lua_script:" + script, "-r", file, "-c", "4000", "-T", "pdml"]
    for port in ports:
        kind, _, number = port.partition("=")
        command += ["-d", f"udp.port=={number},{PROTOCOLS[kind]}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    if done.returncode != 0 or "Lua" in done.stderr:
        print(done.stderr, file=sys.stderr)
        return 1
    numbers = {port.partition("=")[2] for port in ports}
    for packet in ElementTree.fromstring(done.stdout).iter("packet"):
        found = {f.get("show") for f in packet.iter("field") if f.get("name") in ("udp.srcport", "udp.dstport")}
        print((line_of(packet) or "malformed") if found & numbers else "-")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        print(__doc__)
        sys.exit(2)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
