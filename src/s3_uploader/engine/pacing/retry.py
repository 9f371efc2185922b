"""Decide, without I/O, whether and when a failed request is retried."""

import random
import sys
from dataclasses import dataclass

from s3_uploader.config import UploadConfig
from s3_uploader.errors import IntegrityError, S3UploaderError, StoreError

LONGEST_WAIT = 300.0
"""Seconds waited at most because a store's Retry-After says so."""

_UNLIKELY = 3
"""Attempts at an endpoint that has never responded as a store: a wrong address, or a portal."""

_UNREACHABLE = frozenset({"store.refused", "store.unknown_host", "store.proxy_unreachable"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Full-jitter back-off over a bounded number of attempts.

    Attempt n is followed by a wait of uniform(0, min(cap, base * 2**(n-1))) seconds
    (AWS Architecture Blog, "Exponential Backoff And Jitter"), after what the store's Retry-After
    asks for.

    Attributes:
        max_attempts: attempts of one request, the first included.
        base, cap: seconds.
    """

    max_attempts: int
    base: float
    cap: float

    @classmethod
    def of(cls, config: UploadConfig) -> "RetryPolicy":
        """Take the policy from the settings."""
        return cls(config.max_attempts, config.backoff_base, config.backoff_cap)

    def delay(
        self, error: S3UploaderError, attempt: int, *, reached: bool, rng: random.Random
    ) -> float | None:
        """Return the seconds to wait after failed attempt number `attempt`, or None to give up.

        Args:
            error: why the attempt failed.
            attempt: from 1.
            reached: whether the store has ever responded. A host that is unknown or refuses before
                that is taken for a wrong address and not tried again.
            rng: source of the jitter.
        """
        most = self.max_attempts if reached else min(self.max_attempts, _most_unreached(error))
        if attempt >= most or not _may_pass(error, reached=reached):
            return None
        # The exponent is bounded so that a large attempt number cannot overflow a float.
        ceiling = min(self.cap, self.base * 2 ** min(attempt - 1, 62))
        delay = rng.uniform(0, ceiling)
        asked = min(getattr(error, "retry_after", None) or 0.0, LONGEST_WAIT)
        # Jitter on top: all that were refused together were asked to wait the same.
        return asked + delay if asked else delay


def retries_of(size: int, part_size: int, max_attempts: int) -> int:
    """Return how often the requests of one file may be tried again, all together.

    Three requests may use up their attempts, and each part may fail once beside: a store that
    fails more often than that is not going to take the file.
    """
    return 3 * max_attempts + size // part_size


def _most_unreached(error: S3UploaderError) -> int:
    """Return the attempts that are worth it where no store has ever responded."""
    return _UNLIKELY if error.code == "store.bad_response" else sys.maxsize


def _may_pass(error: S3UploaderError, *, reached: bool) -> bool:
    if isinstance(error, IntegrityError):
        return True
    if not isinstance(error, StoreError):
        return False
    if error.code in _UNREACHABLE and not reached:
        return False
    return error.retryable
