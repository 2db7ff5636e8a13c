#!/bin/sh
# Double-clicked on Linux, and what Start-macOS.command begins: finds a Python, then start.py does the rest.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
app=$here
[ -f "$app/start.py" ] || app=$here/app
PATH=$PATH:/usr/local/bin:/opt/homebrew/bin:/Library/Frameworks/Python.framework/Versions/Current/bin
export PATH

fits() {
    # macOS has a python3 that is none, and offers to install one when it is asked.
    [ "$(command -v "$1")" != /usr/bin/python3 ] || [ "$(uname)" != Darwin ] || xcode-select -p || return 1
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))'
}

stay() {
    # A window that closes by itself cannot be read.
    [ ! -t 0 ] || { printf '\n[Enter]'; read -r _; }
    exit 1
}

for name in python3.13 python3.12 python3.11 python3 python; do
    if command -v "$name" >/dev/null && fits "$name" >/dev/null 2>&1; then
        "$name" "$app/start.py" || stay
        exit 0
    fi
done
echo 'Python 3.11 or newer is missing on this computer. READ-ME-FIRST.html says where to get it.'
echo '这台电脑上没有 Python 3.11 或更新的版本。READ-ME-FIRST.html 里写着怎样安装。'
for opener in xdg-open open; do
    if command -v "$opener" >/dev/null; then "$opener" "$here/READ-ME-FIRST.html" && break; fi
done
stay
