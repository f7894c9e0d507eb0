"""What holds for every test: how Hypothesis searches, and what is left out without the official vectors."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "indelible",
    deadline=None,  # a busy machine is no failure
    suppress_health_check=[HealthCheck.too_slow],  # the same
    derandomize="CI" in os.environ,  # a run of CI says the same twice; elsewhere each run searches anew
    print_blob=True,
)
settings.load_profile("indelible")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests marked `official`, saying so, where OFFICIAL_VECTORS names no folder."""
    if os.environ.get("OFFICIAL_VECTORS"):
        return
    reason = "OFFICIAL_VECTORS is not set: the folder of the official vectors, which are not kept here"
    for item in items:
        if item.get_closest_marker("official"):
            item.add_marker(pytest.mark.skip(reason=reason))
