"""Checks on integrity: the chain of digests, what they name, the time they cover, and what lies beside them."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from kit.canonical import Json
from kit.checks.deliveries import NONE, each_delivery, judge_problems, more, told
from kit.checks.delivery import status_time
from kit.digests.chain import RESTART, Chain, Coverage, Period
from kit.digests.challenge import challenge
from kit.digests.problems import Kind
from kit.findings import Finding, Judgement, count, when
from kit.parameters import RunParameters
from kit.snapshot import Delivery, Snapshot, Trail

_OF_OTHERS = (Kind.DELETED, Kind.HASH, Kind.CONTENT, Kind.LOCATION, Kind.REPLACED, Kind.DUPLICATE, Kind.UNREAD)
_SAME, _ONE_PERIOD = timedelta(minutes=5), timedelta(minutes=65)


def oq_04(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every digest of the window lies where it says, declares CloudTrail's algorithms, carries CloudTrail's signature
    by a public key of its Region and time, and names the digest before it with its hash and signature; a chain that
    begins anew is accounted for.

    Source: CloudTrail user guide, "Custom implementations of CloudTrail log file integrity validation"; signatures are
    RSA PKCS#1 v1.5 with SHA-256 (RFC 8017, 8.2).
    """

    def of_delivery(trail: Trail, delivery: Delivery, judgement: Judgement) -> Finding:
        for answer in delivery.keys:
            judgement.rest_on(answer.evidence)
        chains = list(delivery.chains.values())
        count = sum(chain.digests for chain in chains)
        if not count:
            judgement.doubt("digests", "at least one", f"No digest of {trail.arn} was found within the window.", 0)
            return judgement.finding()
        problems = [chain.problems for chain in chains]
        for name, kinds in (
            ("content other than documented", (Kind.CONTENT,)),
            ("place or time other than named", (Kind.LOCATION,)),
            ("algorithm other than CloudTrail's", (Kind.ALGORITHM,)),
            ("signature other than CloudTrail's", (Kind.SIGNATURE,)),
            ("broken links", (Kind.LINK,)),
            ("restarts not accounted for", (Kind.RESTART,)),
            ("digests not judged", (Kind.UNREAD,)),
        ):
            judge_problems(judgement, name, problems, kinds)
        judgement.observe("digests", {"accounts and Regions": len(chains), "digests": count})
        if accounted := [sentence for chain in chains for sentence in chain.accounted]:
            judgement.observe("restarts accounted for", accounted)
        return judgement.finding(
            f"All {count} digests of {trail.arn} are signed by CloudTrail, and each names the one before it."
        )

    return each_delivery("OQ-04", snapshot, parameters, of_delivery)


def oq_05(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every log file that a sound digest names is there, and its content has the hash that the digest says.

    Source: CloudTrail user guide, "CloudTrail digest file structure": the hash is of the uncompressed log file.
    """

    def of_delivery(trail: Trail, delivery: Delivery, judgement: Judgement) -> Finding:
        logs = delivery.logs
        if not logs.named:
            judgement.doubt("named log files", "at least one", f"No sound digest of {trail.arn} names a log file.", 0)
        else:
            judgement.observe("log files named", logs.named)
            judgement.observe("log files intact", logs.intact)
        judge_problems(judgement, "log files missing", logs.problems, (Kind.DELETED,))
        judge_problems(judgement, "log files changed", logs.problems, (Kind.HASH, Kind.CONTENT))
        judge_problems(judgement, "log files elsewhere", logs.problems, (Kind.LOCATION,))
        judge_problems(judgement, "log files not read", logs.problems, (Kind.UNREAD,))
        _doubt_rejected(judgement, delivery)
        return judgement.finding(
            f"All {logs.named} log files that the digests of {trail.arn} name are there, and are untouched."
        )

    return each_delivery("OQ-05", snapshot, parameters, of_delivery)


def _doubt_rejected(judgement: Judgement, delivery: Delivery) -> None:
    """Leave open what rests on the names in digests that can't be trusted: their log files are named by nobody."""
    name, unsound = "digests whose log files are not known", 0
    for chain in delivery.chains.values():
        unsound += chain.rejected + chain.undecided
    if unsound:
        judgement.doubt(
            name,
            0,
            f"{count(unsound, 'digest')} can't be trusted or read, so the log files named there are not checked.",
            unsound,
        )


def oq_06(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The window is covered by sound digests, hour by hour and Region by Region, without a gap and without a restart,
    up to where digests must be there by now; the rest of it is listed as not yet covered.

    Source: CloudTrail user guide, "Validating CloudTrail log file integrity": a digest is delivered every hour, also
    for hours without a log file; stopping logging or validation breaks the chain.
    """

    def of_delivery(trail: Trail, delivery: Delivery, judgement: Judgement) -> Finding:
        start, due = delivery.window[0], delivery.settled
        expected = f"from {when(start)} to {when(due)}, for {_scope(delivery.required)}"
        if due <= start:
            why = f"No digest of the window is settled yet: it begins at {when(start)}, and is settled to {when(due)}."
            judgement.doubt("window covered", expected, why)
        elif not delivery.required:
            judgement.doubt("window covered", expected, f"No Region is in scope in which {trail.arn} delivers.")
        else:
            _judge_coverage(judgement, trail, delivery, expected, (start, due))
            if delivery.places[0].organization and parameters.expected.organization_accounts is None:
                members = "The parameter expected.organization_accounts is not stated."
                judgement.doubt("accounts covered", "every member of the organization", members)
            _judge_restarts(judgement, trail, delivery)
        _judge_latest(judgement, trail, delivery, parameters)
        judgement.observe("not yet covered", _pending(delivery) or "nothing")
        return judgement.finding(f"Digests of {trail.arn} cover the window without a gap, {expected}.")

    return each_delivery("OQ-06", snapshot, parameters, of_delivery)


def _scope(areas: Collection[tuple[str, str]]) -> str:
    accounts, regions = ({area[part] for area in areas} for part in (0, 1))
    return f"{count(len(accounts), 'account')} in {count(len(regions), 'Region')}"


def _judge_coverage(judgement: Judgement, trail: Trail, delivery: Delivery, expected: str, due: Period) -> None:
    gaps, doubts = [], []
    for area in delivery.required:
        chain = delivery.chains.get(area)
        found = list(_gaps(chain, due))
        if found and area in delivery.unlisted:
            doubts.append(f"What {_place(area)} has of digests is not known.")
        elif found and chain and chain.undecided:
            doubts.append(f"{_place(area)} has {count(chain.undecided, 'digest')} that could not be judged.")
        elif chain is None and area[0] != trail.account:
            doubts.append(f"{_place(area)} has no digest, and whether that Region is enabled there is not known.")
        else:
            gaps += [f"{_place(area)}: {gap}" for gap in found]
    for area in sorted(set(delivery.chains) - set(delivery.required)):
        # a Region that is not enabled now may have been, and then its chain ends by itself, or was cut off
        doubts += [f"{_place(area)}, which is not enabled now: {gap}" for gap in _gaps(delivery.chains[area], due)]
    if gaps:
        sentence = f"{gaps[0]}{more(len(gaps) - 1)}."
        judgement.expect("window covered", expected, told(gaps), met=False, otherwise=sentence)
    elif doubts:
        judgement.doubt("window covered", expected, " ".join(told(doubts)))
    else:
        judgement.expect("window covered", expected, "without a gap", met=True)


def _gaps(chain: Chain | None, due: Period) -> Iterator[str]:
    """Yield what of a period a chain does not cover, each gap by name."""
    if chain is None or not chain.covered:
        what = "no digest was found" if chain is None or not chain.digests else "no digest can be trusted"
        yield f"{what} from {when(due[0])} to {when(due[1])}"
        return
    restarts = {one.at for one in chain.breaks if one.kind == RESTART}
    for start, end in Coverage(chain.covered).gaps(*due):
        if end in restarts:
            what = "nothing is covered before the chain begins anew"
        elif start == due[0]:
            what = "the head of the window is cut off"
        elif end == due[1]:
            what = "the tail of the window is cut off"
        else:
            what = "a digest is missing or can't be trusted"
        yield f"{what}, from {when(start)} to {when(end)}"


def _judge_restarts(judgement: Judgement, trail: Trail, delivery: Delivery) -> None:
    start, end = delivery.window
    found = [
        f"{_place(area)}: {one.detail}"
        for area, chain in delivery.chains.items()
        for one in chain.breaks
        if one.kind == RESTART and start < one.at < end
    ]
    sentence = f"The chain of {trail.arn} begins anew within the window: {'; '.join(told(found))}."
    judgement.expect("restarts within the window", NONE, found or NONE, met=not found, otherwise=sentence)


def _judge_latest(judgement: Judgement, trail: Trail, delivery: Delivery, parameters: RunParameters) -> None:
    """Hold the newest digest in the bucket against the one that the trail's status tells: a tail that was cut off in
    every Region shows itself.
    """
    judgement.rest_on(trail.status.evidence)
    name, told_at = "latest digest that the status tells", status_time(trail, "LatestDigestDeliveryTime")
    if delivery.window[1] <= delivery.settled:
        return  # the window lies in the past, and its own end shows whether its tail is there
    if told_at is None:
        why = trail.status.why or f"The answer to {trail.status.call} does not say when a digest was last delivered."
        judgement.doubt(name, "in the bucket", why)
        return
    if told_at <= delivery.window[0] + (delivery.now - delivery.settled):
        return  # it may be of the hours before the window, which are not read
    # nor are those that were delivered long behind its end
    told_at = min(told_at, delivery.window[1])
    # of some Regions only, the newest may be those of the hour before
    near = _SAME if parameters.account.regions == "all" else _ONE_PERIOD
    expected, newest = f"in the bucket, delivered at {when(told_at)} or later", delivery.newest_digest
    actual = when(newest) if newest else "no digest"
    sentence = f"The trail's status tells of a digest delivered at {when(told_at)}; the newest in the bucket: {actual}."
    if newest is not None and newest >= told_at - near:
        judgement.expect(name, expected, actual, met=True)
    elif delivery.unlisted:
        judgement.doubt(name, expected, f"{sentence} Not every folder could be listed.", actual)
    else:
        judgement.expect(name, expected, actual, met=False, otherwise=sentence)


def _pending(delivery: Delivery) -> dict[str, Json]:
    end, rest = delivery.window[1], {}
    for area in delivery.required:
        chain = delivery.chains.get(area)
        last = max(delivery.settled, chain.last_end) if chain and chain.last_end else delivery.settled
        if last < end:
            rest[_place(area)] = f"from {when(max(last, delivery.window[0]))}"
    return rest


def oq_07(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """What lies in the log bucket and what the digests name is the same, object by object: nothing planted, deleted,
    named twice, or replaced by another version, and nothing whose trail can't be told.

    Source: CloudTrail user guide, "CloudTrail digest file structure"; S3 user guide, "Using versioning in S3 buckets".
    """

    def of_delivery(trail: Trail, delivery: Delivery, judgement: Judgement) -> Finding:
        both = (delivery.logs.problems, delivery.digests.problems)
        # log names carry no trail's name: a reader of the folder takes what another trail left there for genuine
        judge_problems(judgement, "changed or missing, of other trails", delivery.others, _OF_OTHERS)
        if not any(chain.covered for chain in delivery.chains.values()):
            why = f"No sound digest of {trail.arn} was found to hold the log files against."
            judgement.doubt("digests", "at least one", why, 0)
        for name, kind in (
            ("planted", Kind.PLANTED),
            ("deleted", Kind.DELETED),
            ("named twice", Kind.DUPLICATE),
            ("replaced", Kind.REPLACED),
            ("not attributed", Kind.UNATTRIBUTED),
            ("not read", Kind.UNREAD),
        ):
            judge_problems(judgement, name, both, (kind,))
        _doubt_rejected(judgement, delivery)
        judgement.observe("log files named", delivery.logs.named)
        judgement.observe("log files too young to be named", delivery.logs.young)
        return judgement.finding(
            f"The {delivery.logs.named} log files that the digests of {trail.arn} name are those that are there."
        )

    return each_delivery("OQ-07", snapshot, parameters, of_delivery)


def oq_09(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The verifier finds nothing wrong with an untouched copy of this run's own digests and logs, and finds each tamper
    by what was done: nothing is written to AWS.

    Source: EU GMP Annex 11, 4.7: automated testing tools are assessed for their adequacy.
    """

    def of_delivery(trail: Trail, delivery: Delivery, judgement: Judgement) -> Finding:
        sample = delivery.sample
        if sample is None or len(sample.bodies) < len(sample.wanted):
            why = f"The run holds no three sound digests of {trail.arn} in a row that name two log files."
            judgement.doubt("sample", "three digests in a row, two log files", why)
            return judgement.finding()
        challenges = challenge(sample)
        if not challenges[0].caught:
            why = f"The copy that is challenged is not sound: {', '.join(challenges[0].found)}."
            judgement.doubt(challenges[0].name, "nothing found", why, list(challenges[0].found))
            return judgement.finding()
        for one in challenges:
            sentence = f"The verifier did not catch it: {one.name}."
            expected = f"rejected: {one.expected}" if one.expected else "nothing found"
            actual = f"rejected: {', '.join(one.found)}" if one.found else "nothing found"
            judgement.expect(one.name, expected, actual, met=one.caught, otherwise=sentence)
        judgement.observe("sample", [raw.key for raw in sample.digests] + [log.key for log in sample.wanted])
        return judgement.finding(f"Each of {len(challenges) - 1} tampers was caught, and the untouched copy was not.")

    return each_delivery("OQ-09", snapshot, parameters, of_delivery)


def _place(area: tuple[str, str]) -> str:
    return f"{area[0]} {area[1]}"
