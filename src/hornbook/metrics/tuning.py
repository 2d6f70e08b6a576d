"""Constants fitted to a machine: two AVX2 cores of an AMD EPYC, one thread."""

# Cells of the edit-distance tables that one set of texts may take, about a second's work.
# 2026-11: rapidfuzz 3.14.6 computes 5e9 (32,033 names x 100 texts of 3 to 9 characters) to 1.2e10
# (10,000 documents of 400 characters x 100 texts of 200) cells a second in
# `rapidfuzz.process.cdist(texts, documents, scorer=Levenshtein.distance)`.
MAX_CELLS = 1 << 33
