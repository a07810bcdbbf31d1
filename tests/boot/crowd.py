"""Clients that stream until they are told to stop, with the standard library alone.

Usage: crowd.py SOCKET MODEL CLIENTS FILE; it ends when FILE is there, and prints how answers ended.
FILE.whole is there once an answer was whole, and FILE.other once a request ended otherwise.
"""

import json
import socket
import sys
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread


def main() -> None:
    path, model, clients, stop = sys.argv[1:]
    ends: Counter[str] = Counter()
    threads = [
        Thread(target=ask, args=(path, model, Path(stop), ends)) for _ in range(int(clients))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(ends) + "\n")


def ask(path: str, model: str, stop: Path, ends: Counter[str]) -> None:
    """Ask again and again; each request ends as `whole` or as what became of it."""
    messages = [{"role": "user", "content": "Hello"}]
    body = json.dumps({"model": model, "messages": messages, "stream": True})
    while not stop.exists():
        connection = HTTPConnection("localhost")
        try:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(60)
            connection.sock.connect(path)
            connection.request("POST", "/v1/chat/completions", body)
            answer = connection.getresponse()
            text = answer.read()
            whole = answer.status == 200 and text.endswith(b"data: [DONE]\n\n")
            end = "whole" if whole else f"status {answer.status}, not whole"
        except (OSError, HTTPException) as fault:
            end = type(fault).__name__
            time.sleep(0.05)  # nobody is there: a moment later is soon enough
        finally:
            connection.close()
        ends[end] += 1
        stop.with_suffix(".whole" if end == "whole" else ".other").touch()


if __name__ == "__main__":
    main()
