"""The command line: one file a verb, and only the verb asked for is imported."""

from __future__ import annotations

VERBS = {
    "train": "train a model on a dataset or a text file",
    "sample": "generate text with a trained model",
    "chat": "answer what is typed, with a run that was trained on prompts and answers",
    "eval": "measure the loss of a run on a whole part of its text, or on another text",
    "score": "measure how surprising a run finds given texts, token by token",
    "show": "show the settings, figures and loss curve of runs",
    "runs": "list the runs in a directory, or remove some",
    "ladder": "train every model on the same text and compare them",
    "compare": "compare runs, and test whether their differences are significant",
    "sweep": "train with several settings and seeds, and compare them",
    "mix": "make one run of several by averaging their probabilities",
    "serve": "answer requests over HTTP: OpenAI's API for trained runs",
    "lr-find": "find a learning rate",
    "inspect": "draw what a run learned, how it trained, and whether it copied its text",
    "export": "write a run for transformers, llama.cpp, onnxruntime, a browser or numpy",
    "push": "upload a run to Hugging Face's hub, in the form of transformers",
    "doctor": "check this machine: its device, speed, memory and libraries",
    "data": "list the available datasets, or describe one or a text file",
    "models": "list the models, or the settings of one",
    "presets": "list the presets, or the settings of one",
    "lesson": "list the lessons, or open one as a text or a notebook",
    "check": "check your answer to an exercise of a lesson",
}

OTHER_VERBS = {  # what other tools call them
    "complete": "sample",
    "evaluate": "eval",
    "convert": "export",
    "exercise": "check",
    "fit": "train",
    "generate": "sample",
    "info": "show",
    "lessons": "lesson",
    "list": "runs",
    "ls": "runs",
    "perplexity": "score",
    "plot": "inspect",
    "predict": "sample",
    "publish": "push",
    "resume": "train",
    "search": "sweep",
    "test": "eval",
    "upload": "push",
}
