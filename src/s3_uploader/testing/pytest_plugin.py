"""Fixtures for pytest: `pytest_plugins = ["s3_uploader.testing.pytest_plugin"]`."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from s3_uploader.testing.faults import Fault, FaultProxy, StartFaultProxy
from s3_uploader.testing.server import LocalS3Server


@pytest.fixture
def s3_fault_proxy() -> Iterator[StartFaultProxy]:
    """Start fault proxies that end with the test."""
    with ExitStack() as stack:

        def start(server: LocalS3Server | str, *faults: Fault | str, **options: Any) -> FaultProxy:
            return stack.enter_context(FaultProxy(server, faults, **options))

        yield start
