"""Interrupted uploads that go on, at servers of every make that installs: `make test-stores`."""

import pytest

import test_resume
from every_make import at_other_stores

pytestmark = [pytest.mark.anyio, pytest.mark.stores]
pytest_plugins = ["s3_uploader.testing.pytest_plugin"]

globals().update(
    at_other_stores(
        test_resume,
        "test_whatever_the_listing_shows_the_object_is_whole",
        "test_a_part_of_other_bytes_at_a_real_store_is_not_used",
        "test_a_changed_file_aborts_what_was_open",
        "test_with_the_journal_lost_a_real_store_tells",
    )
)
