"""What a run asks of the settings, and who reads them for it, as its parameters say."""

from collections.abc import Mapping

from kit.collect.iq import Scope
from kit.collect.pace import DEFAULT
from kit.collect.readers import ATTEMPTS, Readers
from kit.parameters import RunParameters
from kit.recording import Recorder, Replayer
from kit.sections import Target


def readers_for(
    parameters: RunParameters,
    recorder: Recorder | Replayer,
    credentials: Mapping[str, str] | None = None,
    further: Mapping[str, str] | None = None,
    attempts: int = ATTEMPTS,
) -> Readers:
    """Return what reads a run's account, through a recorder or a replayer; `further` names roles besides its own."""
    return readers_to(parameters.account, recorder, credentials, further, attempts)


def readers_to(
    target: Target,
    recorder: Recorder | Replayer,
    credentials: Mapping[str, str] | None = None,
    further: Mapping[str, str] | None = None,
    attempts: int = ATTEMPTS,
) -> Readers:
    """Return what reads an account, reached as a run's parameters say."""
    return Readers(
        recorder,
        endpoint_url=target.endpoint_url,
        profile=target.profile,
        role_arn=target.role_arn,
        role_arns=target.role_arns,
        external_id=target.external_id,
        session_tags=target.session_tags,
        further=further,
        # a custom endpoint has no quota of AWS's, unless one is stated
        pace=dict(DEFAULT) | dict[str, float](target.pace.items()) if target.pace or not target.endpoint_url else {},
        credentials=credentials,
        attempts=attempts,
    )


def scope_of(parameters: RunParameters) -> Scope:
    """Return what a run asks of the settings."""
    target, expected = parameters.account, parameters.expected
    return Scope(
        target.account_id,
        None if target.regions == "all" else tuple(target.regions),
        expected.trail_arn,
        expected.kms_key_arn,
        target.log_bucket_account,
        expected.reader_role_arns or (),
    )
