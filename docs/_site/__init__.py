"""Extensions of Sphinx that make the site from the code: its parsers, settings, docstrings, lessons."""
