"""Run a Python program that may open no connection but to this machine: python loopback_only.py RECORD main.py ...

Each attempt to look up, bind to or reach another address is written to the file RECORD and refused. What compiled code
does without Python's `socket` is not seen.
"""

import errno
import ipaddress
import runpy
import sys
import traceback
from pathlib import Path

ADDRESS_AT = {  # audit event: which of its arguments is the address
    "socket.connect": 1,
    "socket.bind": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


def is_loopback(address: object) -> bool:
    """Whether an address, as `socket` takes it, is this machine's own; no address, or a file's name, is."""
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost") or (not isinstance(address, tuple) and str(host).startswith(("/", "\0"))):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def forbid(record: Path) -> None:
    def hook(event: str, arguments: tuple) -> None:
        if event in ADDRESS_AT and not is_loopback(address := arguments[ADDRESS_AT[event]]):
            with record.open("a", encoding="utf-8") as out:
                out.write(f"{event} {address}\n{''.join(traceback.format_stack()[:-1])}\n")
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"{address}: this run may reach nothing but this machine")

    sys.addaudithook(hook)


if __name__ == "__main__":
    forbid(Path(sys.argv[1]))
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
