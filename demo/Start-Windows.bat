@echo off
rem Double-clicked on Windows: finds a Python, then start.py does the rest.
cd /d "%~dp0"
set PYTHONUTF8=1
set "APP="
if not exist start.py set "APP=app\"
set "FITS=import sys; sys.exit(sys.version_info < (3, 11))"
for %%P in ("py -3" "python") do (
    %%~P -c "%FITS%" >nul 2>nul && (
        %%~P "%APP%start.py"
        goto end
    )
)
echo Python 3.11 or newer is missing on this computer. READ-ME-FIRST.html says where to get it.
start "" "READ-ME-FIRST.html"
:end
pause
