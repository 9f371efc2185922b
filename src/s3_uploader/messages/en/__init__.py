"""The English sentences, one file for each theme."""

from s3_uploader.messages.en import config, log, server, source, store, upload

TEXTS = {
    **config.TEXTS,
    **log.TEXTS,
    **server.TEXTS,
    **source.TEXTS,
    **store.TEXTS,
    **upload.TEXTS,
}
