"""A minimal W&B server that misbehaves, from the start or after a run has begun.

wandb 0.31 requests the user (`viewer`), whether the run exists (`RunResumeStatus`), its start (`UpsertBucket`) and
addresses of files (`CreateRunFiles`), and sends metrics to `file_stream`. Answers to other requests may be empty.
"""

import gzip
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUS = {"500": 500, "429": 429, "401": 401}


class Answer(BaseHTTPRequestHandler):
    """Answers requests, with the server's fault."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        server = self.server
        fault = server.fault if server.from_start or server.begun.is_set() else "healthy"
        server.requests.append((self.path, body))
        if fault in ("silent", "slow"):
            server.over.wait(3600 if fault == "silent" else server.seconds)
        if fault == "silent" or server.over.is_set():
            self.close_connection = True
            return
        content = b"<html>no" if fault == "garbage" else json.dumps(self.content(body)).encode()
        self.send_response(STATUS.get(fault, 200))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if b"upsertBucket" in body:
            server.begun.set()

    def content(self, body):
        if not self.path.endswith("/graphql"):
            return {}
        asked = json.loads(body)
        variables = asked.get("variables") or {}
        project = {"id": "p", "name": variables.get("project"), "entity": {"id": "e", "name": "me"}}
        bucket = {"id": "b", "name": variables.get("name"), "displayName": "run", "config": "{}", "project": project}
        where = f"http://127.0.0.1:{self.server.server_port}/put/"
        files = [{"name": name, "uploadUrl": where + name} for name in variables.get("files", [])]
        answers = {
            "viewer": {"id": "v", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}},
            "upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True},
            "createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files},
        }
        return {"data": {name: answer for name, answer in answers.items() if name in asked["query"]}}

    do_GET = do_POST = do_PUT = do_PATCH = answer

    def log_message(self, *_):
        pass


class Quiet(ThreadingHTTPServer):
    """A server that does not print errors of its clients."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


@contextmanager
def serving(fault="healthy", from_start=False, seconds=3.0):
    """A server with a fault, from the start or once a run has begun.

    Args:
        fault: healthy, silent (accepts and never answers), slow, dead (gone), 500, 429, 401, or garbage.
        from_start: whether the fault begins at once.
        seconds: delay of the answers of a slow server.
    """
    server = Quiet(("127.0.0.1", 0), Answer)
    server.fault, server.from_start, server.seconds = fault, from_start, seconds
    server.begun, server.over, server.requests = threading.Event(), threading.Event(), []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def die():
        server.begun.wait()
        time.sleep(0.5)  # the last request is still answered
        server.over.set()
        server.shutdown()
        server.server_close()

    if fault == "dead":
        if from_start:
            server.begun.set()
        threading.Thread(target=die, daemon=True).start()
    try:
        yield server
    finally:
        server.begun.set()
        server.over.set()
        server.shutdown()
        server.server_close()


def metrics_sent(server):
    """The number of lines of metrics that arrived."""
    streams = [
        json.loads(body)["files"]
        for path, body in server.requests
        if path.endswith("/file_stream") and body and b'"files"' in body
    ]
    return sum(len(files.get("wandb-history.jsonl", {}).get("content", [])) for files in streams)
