"""Where a text comes from: files, folders, archives, stdin, tables, datasets of Hugging Face.

`files` finds what is to be read, `source` reads all of it as one text or as documents, `records` and
`parquet` take documents out of records, `standard_input` and `hub` make files of what is none yet.
"""
