"""What a failed job's log and end are put down to: the rules, in their order. The first that fits counts.

A cause is a key: ``cause.<key>`` in ``locales/`` says what it is and what to do.
docs/reliability.md has the table.
"""

import re
import signal
from dataclasses import dataclass
from typing import Literal

from core.jobs.ending import Reason


@dataclass(frozen=True)
class Rule:
    """``says`` is looked for in the error that ended the job, its message's further lines and the errors it
    came from; with ``where`` "anywhere" in any line, for what is the cause whatever the last word was. Its
    group ``said`` is what is shown, else the error's line. ``within``: what one of the error's frames says.
    """

    cause: str
    says: re.Pattern[str]
    where: Literal["error", "anywhere"] = "error"
    within: re.Pattern[str] | None = None


def _rule(cause: str, *says: str, within: str = "") -> Rule:
    return Rule(cause, re.compile("|".join(says)), within=re.compile(within) if within else None)


def _anywhere(cause: str, *says: str) -> Rule:
    return Rule(cause, re.compile("|".join(says)), "anywhere")


RULES = (
    _anywhere(
        "cuda_out_of_memory",
        r"CUDA out of memory",
        r"CUDA (?:driver )?error: out of memory",
        r"\bCU[A-Z]+_STATUS_ALLOC_FAILED\b",
        r"Triton Error \[CUDA\]: out of memory",
        # bitsandbytes prints it and ends; NCCL's are in DeepSpeed's tracebacks too.
        r"^Error out of memory at line \d+ in file",
        r"Cuda failure \d+ 'out of memory'",
        r"Failed to CUDA calloc",
    ),
    _anywhere(
        "cpu_out_of_memory", r"DefaultCPUAllocator: (?:can't allocate|not enough) memory", r"std::bad_alloc"
    ),
    _anywhere(
        "memory_limited", r"failed to map segment from shared object", r"Memory allocation still failed after"
    ),
    _anywhere("quota", r"Disk quota exceeded"),
    _anywhere("disk_full", r"No space left on device"),
    _anywhere(
        "shared_memory", r"DataLoader worker .* killed by signal: Bus error", r"insufficient shared memory"
    ),
    _anywhere(
        "worker_killed",
        r"DataLoader worker .* is killed by signal: Killed",
        r"DataLoader worker \(pid\(s\) [\d, ]+\) exited unexpectedly",
    ),
    # torch 2.13's own words go on with how to load it all the same, which nobody should.
    _anywhere("foreign_checkpoint", r"WeightsUnpickler error: Unsupported \w+: (?P<said>\w+ [\w.]+)"),
    _anywhere("tokenizer_mismatch", r"Assertion `srcIndex < srcSelectDimSize` failed"),
    _anywhere("nccl_timeout", r"Watchdog caught collective operation timeout"),
    _anywhere("gpu_broken", r"uncorrectable ECC error", r"GPU is lost", r"fallen off the bus"),
    _rule("nan_loss", r"^FloatingPointError"),
    _rule("cpu_out_of_memory", r"^MemoryError", r"Cannot allocate memory", r"not enough memory"),
    _rule(
        "bitsandbytes_library",
        r"bitsandbytes.*(?:library|binary|\.so)",
        r"libbitsandbytes",
        r"CUDA Setup failed despite",
        r"Native code method attempted to call: lib\.",
    ),
    _rule("deepspeed_mpi", r"No module named 'mpi4py'"),
    _rule(
        "flash_attention",
        r"[Ff]lash ?[Aa]ttention.*(?:not installed|cannot be used|seems)",
        r"No module named 'flash_attn",
    ),
    _rule("no_compiler", r"InvalidCxxCompiler", r"No working C\+\+ compiler", r"Failed to find C compiler"),
    _rule(
        "driver_too_old", r"NVIDIA driver on your system is too old", r"CUDA driver version is insufficient"
    ),
    _rule("gpu_unsupported", r"no kernel image is available"),
    _rule(
        "no_gpu",
        r"Torch not compiled with CUDA",
        r"No CUDA GPUs are available",
        r"Found no NVIDIA driver",
        r"no CUDA-capable device",
    ),
    _rule("gpu_taken", r"CUDA-capable device\(s\) is/are busy", r"devices are busy or unavailable"),
    _rule(
        "gpu_error",
        r"CUDA error: (?:an illegal memory access|unspecified launch failure|misaligned address)",
        r"CUBLAS_STATUS_(?:EXECUTION_FAILED|NOT_INITIALIZED)",
    ),
    _rule("library_mismatch", r"undefined symbol", r"version `(?:GLIBC|CXXABI)\w*_[\d.]+' not found"),
    _rule("module_missing", r"ModuleNotFoundError", r"No module named"),
    _rule("port_in_use", r"Address already in use", r"EADDRINUSE"),
    _rule("read_only", r"Read-only file system"),
    _rule("disk_error", r"Input/output error", r"Stale file handle", r"Transport endpoint is not connected"),
    _rule("permission", r"PermissionError", r"Permission denied"),
    _rule("too_many_files", r"Too many open files"),
    _rule(
        "too_many_threads",
        r"can't start new thread",
        r"Resource temporarily unavailable",
        r"pthread_create failed",
    ),
    _rule("gated_model", r"GatedRepoError", r"gated repo"),
    _rule(
        "token_refused",
        r"\b40[13] (?:Client Error|Forbidden|Unauthorized)",
        r"Invalid (?:user|username or) (?:token|password)",
    ),
    _rule("certificate", r"certificate verify failed"),
    _rule("hub_timeout", r"(?:Read|Connect|Pool)?Timeout(?:Error)?\b", r"timed out"),
    _rule(
        "hub_out_of_reach",
        r"ConnectError",
        r"ConnectionError",
        r"ConnectionRefusedError",
        r"Name or service not known",
        r"[Nn]ame resolution",
        r"Max retries exceeded",
        r"LocalEntryNotFoundError",
    ),
    _rule(
        "model_config",
        r"StrictDataclass\w*ValidationError",
        r"is not a multiple of the number of attention heads",
        r"must be divisible by num_heads",
    ),
    _rule("shape_mismatch", r"size mismatch for", r"ignore_mismatched_sizes", r"shapes cannot be multiplied"),
    _rule("custom_code", r"contains custom code which must be executed"),
    _rule(
        "wrong_architecture",
        r"does not recognize this architecture",
        r"Unrecognized configuration class",
        r"Unrecognized model in",
    ),
    _rule(
        "model_files_missing",
        r"Error no file named",
        r"does not appear to have a file named",
        r"is not a valid model identifier",
    ),
    _rule("lfs_pointer", r"Unsupported operand 118", r"invalid load key, 'v'", r"git-lfs"),
    _rule(
        "damaged_weights",
        r"SafetensorError: Error while deserializing",
        r"invalid header or archive is corrupted",
    ),
    _rule(
        "damaged_checkpoint",
        r"PytorchStreamReader failed",
        r"Unsupported operand",
        r"invalid load key",
        r"EOFError: Ran out of input",
    ),
    _rule("damaged_checkpoint", r"^OSError: \[Errno 22\]", within=r"PyTorchFileReader"),
    # A full disk cuts torch's archive short; its own last word is of that.
    _rule("disk_full", r"PytorchStreamWriter failed", r"unexpected pos \d+ vs \d+"),
    _rule("tokenizer_mismatch", r"index out of range in self"),
    _rule(
        "template_mismatch",
        r"jinja2\.exceptions",
        r"chat_template is not set",
        r"Conversation roles must alternate",
    ),
    _rule(
        "dataset_empty",
        r"num_samples should be a positive",
        r"num_samples=0",
        r"empty dataset",
        r"dataset is empty",
        r"Column .* not in",
    ),
    _rule("not_json", r"JSONDecodeError"),
    _rule("file_missing", r"FileNotFoundError", r"No such file or directory"),
    _rule(
        "config_error", r"SyntaxError", r"IndentationError", r"ConfigParsingError", r"is not in the .*regist"
    ),
)

# Of what ends a program without a word of its own: by the reason that its supervisor saw, then by the signal.
BY_REASON = {
    Reason.disk_full: "disk_full",
    Reason.out_of_memory: "killed_out_of_memory",
    Reason.memory_limited: "memory_limited",
}
BY_SIGNAL = {
    signal.SIGKILL.name: "killed",
    signal.SIGTERM.name: "terminated",
    signal.SIGHUP.name: "terminated",
    signal.SIGINT.name: "terminated",
    signal.SIGILL.name: "illegal_instruction",
    signal.SIGSEGV.name: "crashed",
    signal.SIGBUS.name: "crashed",
    signal.SIGABRT.name: "crashed",
    signal.SIGFPE.name: "crashed",
}
# Of a job of which no end is known.
LOST = {
    Reason.restarted: "machine_restarted",
    Reason.elsewhere: "other_machine",
    Reason.node_failed: "node_failed",
    Reason.time_limit: "slurm_time_limit",
    Reason.out_of_memory: "slurm_out_of_memory",
    Reason.gone: "slurm_ended",
}
# What the numbers of the log say (core.jobs.explain), and what a training's curve does (core.steps.health).
BY_LOSS = ("nan_loss", "lr_too_high", "loss_not_falling")
OTHERS = ("not_started", "lost", "unknown")
# Every cause there is, each once.
CAUSES = tuple(
    dict.fromkeys(
        (
            *(rule.cause for rule in RULES),
            *BY_REASON.values(),
            *BY_SIGNAL.values(),
            *LOST.values(),
            *BY_LOSS,
            *OTHERS,
        )
    )
)
