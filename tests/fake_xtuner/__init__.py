"""XTuner 0.2.0's command line, log format and files, without a model: for tests that must be fast.

    python -m tests.fake_xtuner train CONFIG --work-dir DIR [--resume CHECKPOINT] [--seed N] [--deepspeed D]

It reads ``max_iters``, ``save_steps``, ``save_total_limit``, ``evaluation_freq``, ``evaluation_inputs``,
``lr`` and the logger's interval from the config without running it. What goes wrong is asked for by
environment variables:

    FAKE_XTUNER_SECONDS    seconds an iteration takes (0)
    FAKE_XTUNER_CRASH_AT   iteration at which a RuntimeError is raised
    FAKE_XTUNER_OOM_AT     iteration at which CUDA runs out of memory
    FAKE_XTUNER_KILL_AT    iteration at which it is killed without a word, as the kernel does
    FAKE_XTUNER_ONCE       a file that the first fault deletes: without it none strikes any more
    FAKE_XTUNER_NO_MEMORY_AT  iteration at which the system gives it none any more
    FAKE_XTUNER_TAKE_AT    iteration at which it takes so many MB as FAKE_XTUNER_TAKE says, and keeps them
    FAKE_XTUNER_NAN_AT     iteration from which the loss is not a number
    FAKE_HOLD              a moment at which it stands still (:mod:`tests.holding`)
    FAKE_XTUNER_MEMORY     MB of GPU memory to report; without it none, as on a processor

A checkpoint is a zip file as torch's is, with JSON in it: nothing here may be loaded as a model.
"""
