"""``llama-server`` as far as this project starts it: llama.cpp's own server code, out of its wheel."""

import argparse
import signal

import xllamacpp

options = argparse.ArgumentParser()
options.add_argument("--model", required=True)
options.add_argument("--host", required=True)
options.add_argument("--port", type=int, required=True)
options.add_argument("--ctx-size", type=int, required=True)
options.add_argument("--jinja", action="store_true", required=True)
given = options.parse_args()

asked = xllamacpp.CommonParams()
asked.model.path = given.model
asked.hostnames, asked.port = [given.host], given.port
asked.n_ctx, asked.use_jinja, asked.warmup = given.ctx_size, given.jinja, False
server = xllamacpp.Server(asked)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
