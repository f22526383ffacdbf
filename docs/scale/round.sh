#!/bin/sh
# Conducts a round; a later attempt of the same job goes on with the one that it opened, if it did. The job is part of
# the reason, so that a round which another night left open is never taken for its own.
# Its status is the verdict: 0 PASS, 1 FAIL, 2 misuse, 3 INCONCLUSIVE or interrupted.
set -u

conduct() {
    trailkit run iq oq --targets "$TARGETS" --output "$OUTPUTS" --workers "$WORKERS" --fail-on inconclusive \
        --set "execution.reason=AWS-Batch-job-$AWS_BATCH_JOB_ID" "$@"
}

if [ "${AWS_BATCH_JOB_ATTEMPT:-1}" -gt 1 ]; then
    said=$(mktemp)
    conduct --resume 2> "$said"
    status=$?
    cat "$said" >&2
    grep -q -e "there is no round to resume" -e "was opened with another targets file" "$said" || exit "$status"
fi
conduct
