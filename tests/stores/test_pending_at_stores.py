"""Uploads that were left open, at servers of every make that installs: `make test-stores`."""

import pytest

import test_pending
from every_make import at_other_stores

pytestmark = [pytest.mark.anyio, pytest.mark.stores]

globals().update(at_other_stores(test_pending))
