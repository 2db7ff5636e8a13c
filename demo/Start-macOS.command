#!/bin/sh
# Double-clicked on macOS: the same as on Linux.
exec /bin/sh "$(dirname -- "$0")/Start-Linux.sh"
