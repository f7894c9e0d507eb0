"""The network that a book says it is of: its stored parameters, read back. Pure."""

from __future__ import annotations

from node.ledger import codec
from node.ledger.params import ENCODING_VERSION, Parameters, ParametersError, validate


def parameters_of_bytes(raw: bytes) -> Parameters | None:
    """Return the parameters of these bytes (`Parameters.encode`), None where they are none."""
    try:
        version, *fields = codec.decode(raw)
        parameters = Parameters(*fields)
        validate(parameters)
    except (codec.NotCanonical, TypeError, ValueError, ParametersError):
        return None
    return parameters if version == ENCODING_VERSION else None
