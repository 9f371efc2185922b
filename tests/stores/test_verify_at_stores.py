"""Comparing files with objects, at servers of every make that installs: `make test-stores`."""

import pytest

import test_verify
from every_make import at_other_stores

pytestmark = [pytest.mark.anyio, pytest.mark.stores]

globals().update(
    at_other_stores(
        test_verify,
        "test_uploaded_file_is_the_same",
        "test_one_changed_byte_is_different",
        "test_another_size_is_different_without_reading",
        "test_absent_object_is_missing",
        "test_missing_bucket_is_not_reported_as_missing_objects",
        "test_object_of_another_tool_is_compared_by_etag_where_its_parts_can_be_guessed",
        "test_object_with_odd_part_sizes_is_compared_by_content",
        "test_object_is_read_again_after_a_broken_response",
        "test_composite_etag_of_the_server_is_as_the_tests_assume",
    )
)
