"""The contract of ObjectStore, at servers of every make that installs: `make test-stores`."""

import pytest

import test_store_contract
from every_make import at_other_stores

pytestmark = [pytest.mark.anyio, pytest.mark.stores]

globals().update(at_other_stores(test_store_contract))
del globals()["test_untrusted_certificate_is_fatal_and_names_the_way_out"]  # of TLS
