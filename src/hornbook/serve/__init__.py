"""An HTTP server for trained runs, compatible with OpenAI's API (`hornbook serve`).

FastAPI and uvicorn are an extra, `pip install 'hornbook[serve]'`; nothing else imports this package.
"""
