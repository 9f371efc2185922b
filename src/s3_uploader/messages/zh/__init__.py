"""The Chinese sentences, one file for each theme."""

from s3_uploader.messages.zh import config, log, server, source, store, upload

TEXTS = {
    **config.TEXTS,
    **log.TEXTS,
    **server.TEXTS,
    **source.TEXTS,
    **store.TEXTS,
    **upload.TEXTS,
}
