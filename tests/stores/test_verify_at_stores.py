"""Comparing files with objects, at servers of every make that installs: `make test-stores`."""

import pytest

import test_verify
from every_make import at_other_stores

pytestmark = [pytest.mark.anyio, pytest.mark.stores]

globals().update(
    at_other_stores(
        test_verify,
        "test_what_we_have_uploaded_is_the_same",
        "test_one_other_byte_is_different",
        "test_other_sizes_need_no_look_at_the_bytes",
        "test_what_is_not_there_is_missing",
        "test_a_missing_bucket_is_not_taken_for_missing_objects",
        "test_parts_of_another_tool_are_told_by_the_etag_where_it_can_be_guessed",
        "test_parts_of_odd_sizes_are_compared_by_their_bytes",
        "test_an_object_whose_reading_breaks_off_is_read_again",
        "test_the_composite_etag_of_the_server_is_what_the_tests_take_it_for",
    )
)
