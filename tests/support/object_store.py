"""An S3 server of the tests' own: moto's, as a process on this machine alone. Does not belong here: any test."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import s3fs

from zentra_pipeline import blobs

# What s3fs finds in the environment, as it would on a host.
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def running_server() -> Iterator[dict[str, str]]:
    """A server for as long as the block: the variables by which it is reached."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/moto-api/")
            forget_servers()
            yield {**_CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        finally:
            server.kill()


def forget_servers() -> None:
    """Have this process look for its server again: what was opened goes on to the one that was there then."""
    blobs._opened.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "moto's server did not start"
            time.sleep(0.05)
        else:
            return


def make_bucket(variables: dict[str, str], name: str) -> str:
    """A new bucket, and its URL."""
    httpx.put(f"{variables['AWS_ENDPOINT_URL']}/{name}", headers={"Authorization": _AUTHORIZATION}).raise_for_status()
    return f"s3://{name}"


_SCOPE = "tests/20260426/us-east-1/s3/aws4_request"
_AUTHORIZATION = f"AWS4-HMAC-SHA256 Credential={_SCOPE}, SignedHeaders=host, Signature=0"
