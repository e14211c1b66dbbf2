"""A stand-in for a launcher: `relay.py SOCKET TROUBLE [LIVES AFTER]` joins its pipes to an engine behind a socket.

TROUBLE is done to the engine's stream: delay (every piece comes late and in two halves), cut (it ends in the middle of
a message), garble (one bit of a message is turned) or none.  Cut and garble happen when AFTER bytes have passed, in the
first life alone, which the file LIVES remembers.
"""

import os
import socket
import sys
import threading
import time
from pathlib import Path


def first_life(file):
    seen = file.exists()
    file.write_text("lived")
    return not seen


def pump_in(line):
    while data := os.read(0, 1 << 16):
        line.sendall(data)
    line.shutdown(socket.SHUT_WR)


def troubled(data, trouble):
    """Return the pieces that arrive in place of `data`; None where the line is cut."""
    half = len(data) // 2
    if trouble == "delay":
        time.sleep(0.001)
        yield data[:half]
        time.sleep(0.001)
        yield data[half:]
    elif trouble == "garble":
        yield data[:half] + bytes([data[half] ^ 0x10]) + data[half + 1 :]
    else:
        yield data[:half]
        yield None


def main():
    path, trouble, *more = sys.argv[1:]
    after = int(more[1]) if more else 0
    passes = trouble == "none" or (trouble != "delay" and not first_life(Path(more[0])))
    os.write(1, b"Last login: yesterday\nloading modules \x00\xff done\n")
    line = socket.socket(socket.AF_UNIX)
    line.connect(path)
    threading.Thread(target=pump_in, args=(line,), daemon=True).start()
    passed = 0
    while data := line.recv(1 << 12):
        passed += len(data)
        if passes or (trouble != "delay" and passed < after):
            os.write(1, data)
            continue
        for piece in troubled(data, trouble):
            if piece is None:
                os.write(2, b"relay: the line is cut\n")
                return 3
            os.write(1, piece)
        passes = trouble == "garble"
    return 0


# a thread that waits for input would hold the exit up
os._exit(main())
