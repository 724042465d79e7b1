#!/usr/bin/env bash
# Train on one machine with an NVIDIA GPU, in calls of limited length, from the repository's root.
# Every step can be given again: it goes on from what is there.
set -euo pipefail

readonly run=runs/gpu

usage() {
    cat >&2 <<'END'
usage: bash training/gpu.sh COMMAND
  setup                       find a Python with PyTorch for CUDA, or make one in .venv
  unpack                      every shard in shards/ into data/, which keeps what it has
  train MINUTES [OPTION...]   train on data/train into runs/gpu, or go on from its checkpoint;
                              options are those of python -m training.train
  collect OUT                 weights in pieces of 15 MB, log and recipe into the folder OUT
  all MINUTES OUT [OPTION...] these, one after the other
environment:
  PYTHON        the Python to use; else .venv/bin/python, else python3
  STOP_AFTER_S  seconds after which training saves its state and ends; the next call goes on
END
    exit 2
}

say() { printf 'gpu.sh: %s\n' "$*"; }

fail() {
    say "$*" >&2
    exit 1
}

find_python() {
    python=${PYTHON:-python3}
    if [ -z "${PYTHON:-}" ] && [ -x .venv/bin/python ]; then python=.venv/bin/python; fi
}

is_ready() {
    "$python" -c 'import torch, training.train; raise SystemExit(not torch.cuda.is_available())'
}

setup() {
    if ! is_ready; then
        say "installing what training needs into .venv"
        # What the machine's own Python holds, such as PyTorch, is not fetched again.
        [ -x .venv/bin/python ] || "$python" -m venv --system-site-packages .venv
        python=.venv/bin/python
        "$python" -m pip --disable-pip-version-check install --quiet --editable '.[train]'
        is_ready || fail "PyTorch finds no NVIDIA GPU: see nvidia-smi"
    fi
    say "$("$python" -c 'import sys, torch
print(sys.executable, "with PyTorch", torch.__version__, "on", torch.cuda.get_device_name())')"
}

missing() {
    if [ -e shards/shards.json ]; then
        "$python" -m training.shards missing --shards shards --out data
    fi
}

unpack() {
    local shard names
    for shard in shards/*.tar; do
        [ -e "$shard" ] || break
        say "unpacking $shard"
        "$python" -m training.shards unpack "$shard" --out data
    done
    names=$(missing)
    if [ -n "$names" ]; then say "still to come: ${names//$'\n'/ }"; fi
}

train() {
    local minutes=$1 status=0
    shift
    local command=("$python" -m training.train --data data/train --val data/val --out "$run"
        --device cuda --workers "$(nproc)" --minutes "$minutes" "$@")
    if [ -e "$run/checkpoint.pt" ]; then say "going on from $run/checkpoint.pt"; fi
    say "${command[*]}"
    timeout --foreground --signal=INT "${STOP_AFTER_S:-0}" "${command[@]}" || status=$?
    case $status in
        0) ;;
        124) say "stopped after $STOP_AFTER_S s; the same call goes on" ;;
        *) fail "training failed with status $status" ;;
    esac
}

collect() {
    [ -e "$run/best.safetensors" ] || fail "$run has no weights yet: they come with the first validation"
    mkdir -p "$1"
    "$python" -m training.shards split "$run/best.safetensors" --out "$1/weights" --limit-mb 15
    cp "$run/log.csv" "$run/recipe.json" "$1"
    say "to join the pieces: python -m training.shards join $1/weights --out $1/best.safetensors"
}

all() {
    local minutes=$1 out=$2 names
    shift 2
    setup
    unpack
    names=$(missing)
    [ -z "$names" ] || fail "training waits for the shards named above"
    train "$minutes" "$@"
    collect "$out"
}

is_number() { [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ ]]; }

[ $# -gt 0 ] || usage
name=$1
shift
find_python
case $name in
    setup | unpack) [ $# -eq 0 ] || usage ;;
    train) { [ $# -ge 1 ] && is_number "$1"; } || usage ;;
    collect) [ $# -eq 1 ] || usage ;;
    all) { [ $# -ge 2 ] && is_number "$1"; } || usage ;;
    *) usage ;;
esac
"$name" "$@"
