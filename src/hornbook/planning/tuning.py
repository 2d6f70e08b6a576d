"""Constants that were fitted to a machine or a text, with where they come from.

Unless said otherwise: two AVX2 cores of an AMD EPYC, torch 2.13.0, November 2026 (docs/logbook.md).
"""

from __future__ import annotations

# benchmarks/small.py: after more passes through a small text, models memorized it
SMALL_TEXT_RATIO = 3  # parameters for each training token, from which on a text is small
SMALL_TEXT_EPOCHS = 12
HYBRID_EPOCHS = 5  # of a hybrid for a time budget: 8 were no better (docs/logbook.md, 2026-11-29)
HYBRID_STREAM_EPOCHS = 3  # the same of a stream; more were not measured
HYBRID_SMALL_TEXT_EPOCHS = 4
SMALL_TEXT_DROPOUT = 0.3
SMALL_TEXT_STEPS_PER_EPOCH = 6  # at least
TOLERATED = 1.25  # times as many steps are left as they are

# benchmarks/finetuning.py: training from a trained model
CONTINUED_RATE = 0.25  # of the preset's learning rates
LORA_RATE = 2e-3  # of AdamW, for LoRA's matrices in a model of MEASURED_CHANNELS
CONTINUED_ADAMW_RATE = 1e-3  # of AdamW alone, in such a model
MEASURED_CHANNELS = 64
CONTINUED_EPOCHS = 12
CONTINUED_STEPS_PER_EPOCH = 6  # at least
CONTINUED_EVALUATIONS = 24
CONTINUED_PATIENCE = 12
CONTINUED_TIMED_STEPS = 60  # in a time budget, for which batches have fewer rows (smollm2.py)
CONTINUED_DROPOUT = 0.2  # of a small text
CONTINUED_ROW = 256  # tokens of a row at most, or the longest document
OLD_SAMPLE = (
    1 << 12
)  # tokens of the validation part of the text of the base on which its loss is watched

DEFAULT_CONTEXT_LIMIT = 256  # tokens of context for long documents, unless more are requested

# benchmarks/budget.py
STEP_GROWTH = 0.75  # a step of n times the operations takes about n^0.75 of the time
PARAMETERS_PER_TOKEN = 30  # of a text, beyond which larger sizes were worse
FORWARD_SPEEDUP = 3.0  # how much faster tokens are scored than trained on, before it is measured

# docs/logbook.md, 2026-11-22 (Intel Xeon, AVX-512, for the share that is saved)
COMPILE_SECONDS = {"loss": 45.0, "blocks": 45.0, "steps": 20.0}  # of blocks: taken from the loss
COMPILE_SAVES = {"loss": 0.1, "blocks": 0.1, "steps": 0.7}  # share of the seconds without compiling

REPLICATED_SHARE = (
    0.5  # of a process's memory, up to which it has all weights: half for activations
)

# measuring before a run
TRIAL_TOKENS = 1 << 12  # tokens of a timed step, at most
TRIAL_OPERATIONS = 1e10  # and operations, on a CPU: some tenths of a second
TRIAL_SECONDS = 1.0  # after which no further turn of steps is timed
FASTER = 0.9  # what is chosen for its speed takes less than this share of the time
FEWER_THREADS = 1.03  # fewer threads are chosen up to so many times the seconds
TIMED_OPERATIONS = 1e12  # of a timed step, beyond which it has fewer rows: seconds
TIMED_STEPS = 12  # of a size, so that a moment's other work decides nothing, or
TIMED_SECONDS = 0.4
MEASURING_SHARE = 0.1  # of a time budget, for measuring sizes, or
MEASURING_SECONDS = 3.0
SHORT_MINUTES = 0.5  # of a time budget, below which what takes a second besides is left out
TRIAL_SHARE = 0.015  # of a time budget, for threads, and for precision
COUNTS_EVALUATION = 0.4  # of the seconds of an evaluation of a hybrid, for its counts alone
EVALUATION_SHARE = 0.1  # of a time budget, at most
BEFORE_MEASURED = 4  # evaluations' time for those on the way and the report, before it is measured
RETRY_MARGIN = 1.2  # times what is needed is advised: the next try measures it again
COUNTED_A_SECOND = 500_000  # tokens, at least, in the search for the best counts
TRAINED_A_SECOND = 10_000  # tokens that a small model of a ladder trains on
COUNTING_SHARE = 0.05  # of a time budget, for that search
FEWEST_COUNTED = 1 << 19  # tokens: half a second
SEARCHING_SHARE = 0.1  # of a time budget, for the best order of counts without the validation part
COUNTINGS = 4.0  # times the seconds of that search a hybrid takes to count, more or less
FEWEST_TRAINING_SECONDS = 2.5  # for anything besides
HIGHER_ORDER = 2  # in a hybrid on a stream, than of counts alone (docs/logbook.md, 2026-11-29)
WORTH_TRAINING = 0.003  # share of the loss of counts that a network has to gain
REPORT_OVERHEAD = 0.3  # seconds to write a report and to print a summary

# bytes
BACKWARD_OVERHEAD = 2.0  # at most, of what is kept: temporaries of the backward pass, the allocator
SCORING_COPIES = 4  # copies of the logits while a part is scored
OPTIMIZER_NUMBERS = {"adamw": 3, "muon": 3, "sgd": 1}  # for each parameter, one while it updates
# benchmarks: peaks of a bigram of 4,000 characters, 2026-11-29: 406 MB, with freed memory kept 867
MEMORY_TO_SPARE = 4  # times the estimate from which memory is spent to save time
STATES_ON_DISK = 3  # while one is written

TRAINING_SAMPLE = 1 << 13  # training tokens on which the loss is estimated at each evaluation
# minutes of a network alone, for each MB of its training part, from which on characters are better than
# BPE: between 3 and 9.5 on Shakespeare (docs/logbook.md, 2026-11-29)
CHARACTER_MINUTES_PER_MB = 7.0
LARGE_VOCABULARY = 2000  # tokens from which bytes are offered
LARGE_PART = 1 << 24  # windows that statistics are taken of, tokens counted, of a large part
