"""The read API against its own OpenAPI document: schemathesis asks every operation, rightly and wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.config._checks import PositiveDataAcceptanceConfig
from starlette.types import ASGIApp, Receive, Scope, Send

from node.web.api import DOCUMENT, OPERATIONS
from node.web.operations import Operation
from tests.storage.filling import ANN, BOB
from tests.web.site import HERE, HOST, Site, address, site

BASE: Final = f"http://{HOST}/api"
EXAMPLES: Final = 6
"""Of each operation, beside the ones at the edges of its schemas."""

# What is well-formed may still be against a rule of the ledger: no generator signs entries.
_TAKEN: Final = ("2xx", "3xx", "404", "409", "422", "503")
_CONFIG = SchemathesisConfig(
    projects=ProjectsConfig(
        default=ProjectConfig(
            checks=ChecksConfig(
                positive_data_acceptance=PositiveDataAcceptanceConfig(expected_statuses=_TAKEN)
            ),
            generation=GenerationConfig(deterministic=True, max_examples=EXAMPLES),
        )
    )
)
API = schemathesis.openapi.from_dict(DOCUMENT, config=_CONFIG)


@dataclass(frozen=True, slots=True)
class FromHere:
    """The app, asked from this machine."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":  # its beginning and end are the fixture's
            await self.app({**scope, "client": HERE}, receive, send)
        else:
            raise NotImplementedError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), 12) as found:
        found.wait(BOB, 1_00, "pending")
        yield found


@pytest.fixture(scope="module")
def app(made: Site) -> FromHere:
    return FromHere(made.app)


@API.parametrize()
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_what_is_asked_of_it_is_answered_as_its_document_says(case: Case[Any], app: FromHere) -> None:
    case.call_and_validate(app=app, base_url=BASE)


def _real(made: Site) -> dict[str, str]:
    """Return for each parameter something that is there."""
    block = made.blocks[1]
    return {
        "hash": block.hash.hex(),
        "txid": block.entries[0].txid.hex(),
        "last_seen": made.tip.entries[0].txid.hex(),
        "address": address(ANN),
        "height": "3",
        "start_height": "3",
        "start": "2",
        "index": "1",
    }


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.method == "GET"], ids=lambda operation: operation.name
)
def test_what_is_there_looks_as_the_document_says(operation: Operation, made: Site, app: FromHere) -> None:
    real = _real(made)
    case = API[operation.path]["GET"].Case(
        path_parameters={param.name: real[param.name] for param in operation.params}
    )
    answer = case.call(app=app, base_url=BASE)
    assert answer.status_code == 200, answer.text
    case.validate_response(answer)


def test_a_signed_entry_is_taken_as_the_document_says(made: Site, app: FromHere) -> None:
    entry = made.pay(BOB, 2_00, "by the document")
    case = API["/tx"]["POST"].Case(body={"entry": entry.raw.hex()}, media_type="application/json")
    answer = case.call(app=app, base_url=BASE)
    assert (answer.status_code, answer.text) == (200, entry.txid.hex())
    case.validate_response(answer)


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert len({(operation.path, operation.method) for operation in OPERATIONS}) == len(OPERATIONS)
