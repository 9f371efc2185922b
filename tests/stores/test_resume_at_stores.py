"""Interrupted uploads that go on, at servers of every make that installs: `make test-stores`."""

import pytest

import test_resume
from every_make import at_other_stores

pytestmark = [pytest.mark.anyio, pytest.mark.stores]
pytest_plugins = ["s3_uploader.testing.pytest_plugin"]

globals().update(
    at_other_stores(
        test_resume,
        "test_object_is_whole_whatever_the_listing_shows",
        "test_part_with_different_bytes_at_a_real_store_is_not_used",
        "test_changed_file_is_not_resumed",
        "test_upload_is_adopted_from_a_real_store_if_the_journal_is_lost",
    )
)
