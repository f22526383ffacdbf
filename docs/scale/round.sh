#!/bin/sh
# Conducts a round; a later attempt of the same job goes on with the one that was broken off, if one was opened.
# Its status is the verdict: 0 PASS, 1 FAIL, 2 misuse, 3 INCONCLUSIVE or interrupted.
set -u

conduct() {
    trailkit run iq oq --targets "$TARGETS" --output "$OUTPUTS" --workers "$WORKERS" --fail-on inconclusive "$@"
}

if [ "${AWS_BATCH_JOB_ATTEMPT:-1}" -gt 1 ]; then
    said=$(mktemp)
    conduct --resume 2> "$said"
    status=$?
    cat "$said" >&2
    grep -q "there is no round to resume" "$said" || exit "$status"
fi
conduct
