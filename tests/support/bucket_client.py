"""The client with which the tests look at a bucket: botocore's, which is not ours."""

from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.handlers import add_expect_header

__all__ = ["ClientError", "bucket_client"]


def bucket_client(url: str, region: str, access_key: str, secret_key: str) -> Any:
    client: Any = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
    # With an empty body it stalls the connection for 60 s.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return client
