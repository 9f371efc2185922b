"""Where a bucket's requests go, and the connections that lead there."""

import ssl

from s3_uploader.config import UploadConfig
from s3_uploader.store.body import Body, BytesBody
from s3_uploader.store.redirects import Target
from s3_uploader.store.response import Response
from s3_uploader.store.wire.dial import Origin
from s3_uploader.store.wire.large import LargeSender
from s3_uploader.store.wire.reading import Download
from s3_uploader.store.wire.small import SmallSender


class Route:
    """The connections to one target.

    Args:
        target: where the bucket is.
        context: TLS; only an https target uses it.
        config: the timeouts.
        workers: large bodies in flight at most.
    """

    def __init__(
        self, target: Target, context: ssl.SSLContext | None, config: UploadConfig, workers: int
    ) -> None:
        secure = target.endpoint.startswith("https:")
        origin = Origin.of(target.endpoint, context if secure else None, config.connect_timeout)
        timeouts = (config.stall_timeout, config.response_timeout)
        self.target = target
        self.authority = origin.authority
        self.large = LargeSender(origin, workers, *timeouts)
        self._small = SmallSender(origin, *timeouts)

    async def exchange(self, head: bytes, body: Body) -> Response:
        """Send a request and return its response.

        Raises:
            OSError: connecting failed, the connection broke, or nothing moved for too long.
            SourceError: from the body.
        """
        if isinstance(body, BytesBody):
            return await self._small.exchange(head, body.data)
        return await self.large.exchange(head, body)

    async def download(self, head: bytes) -> Download:
        """Send a request without a body and return its response, whose body is still to be read.

        Raises:
            OSError: as `exchange`.
        """
        return await self._small.download(head)

    async def close(self) -> None:
        """Close the connections and end the threads."""
        self._small.close()
        await self.large.close()
