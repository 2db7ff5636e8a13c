#!/bin/sh
# What Slurm starts on the first node: the command that follows, in this process's place, so that a signal to
# the batch job reaches it.
exec "$@"
