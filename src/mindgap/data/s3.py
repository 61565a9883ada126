"""Object stores that speak S3: addresses, the client, and its errors in one line.

Keys, region and endpoint are taken from where AWS's own tools take them: the environment (``AWS_ACCESS_KEY_ID``,
``AWS_ENDPOINT_URL``, …), ``~/.aws``, or the machine's role.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from mindgap.core.errors import CapacityError, ConfigError

S3 = "s3://"


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """The parts of ``s3://BUCKET/PREFIX``; the prefix is empty or ends with a slash.

    Raises:
        ConfigError: there is no bucket, or the address holds keys.
    """
    bucket, _, prefix = url.removeprefix(S3).strip("/").partition("/")
    if not bucket or "@" in bucket or "?" in url:
        shown = "***" if "@" in bucket or "?" in url else bucket  # it may hold keys
        raise ConfigError(f"the bucket is {shown!r}; give s3://BUCKET/PREFIX, with keys in the environment")
    return bucket, f"{prefix}/" if prefix else ""


def s3_client() -> Any:
    """A client of the object store.

    Raises:
        ConfigError: boto3 is not installed.
    """
    try:
        import boto3
    except ImportError:
        raise ConfigError("an s3:// address needs boto3, which is not installed; pip install 'mindgap[s3]'") from None
    with s3_errors(S3):
        return boto3.client("s3")


@contextmanager
def s3_errors(place: str) -> Generator[None]:
    """Turns what the client raises into one line.

    Raises:
        CapacityError: the object store cannot be reached, refuses, or has no such thing.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CapacityError(f"{place}: {reason}; check the address, the keys and AWS_ENDPOINT_URL") from error
