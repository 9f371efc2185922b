"""Profiles, environment variables and settings: codes of `config`."""

TEXTS = {
    "config.no_profile_file": (
        "没有 S3 配置：“{path}”不存在，环境变量也不完整。请创建该文件，在 [{profile}] 节中写入 "
        "aws_access_key_id、aws_secret_access_key、datacenter 和 volume_id，或设置 "
        "RUNPOD_S3_ACCESS_KEY、RUNPOD_S3_SECRET_KEY、RUNPOD_DATACENTER 和 RUNPOD_VOLUME_ID。"
        "如果存储不是 RunPod 的，请设置 S3_UPLOADER_ACCESS_KEY、S3_UPLOADER_SECRET_KEY、"
        "S3_UPLOADER_BUCKET 和 S3_UPLOADER_ENDPOINT_URL。"
    ),
    "config.incomplete": (
        "没有 S3 配置：“{path}”不存在，环境变量也不完整。"
        "请设置 {variables}，或创建该文件，在 [{profile}] 节中写入 {fields}。"
    ),
    "config.contradiction": (
        "{unused} 与 {used} 的内容互相矛盾；将使用 {used}。请删除不需要的一方。"
    ),
    "config.unknown_profile": (
        "“{path}”中没有 profile“{profile}”，也没有同名的 AWS profile。现有的 profile：{known}。"
    ),
    "config.missing_key": (
        "“{path}”的 [{profile}] 中缺少 {field} 或其值为空。请补上，或设置环境变量 {variable}。"
    ),
    "config.malformed": (
        "“{path}”不是有效的 INI 文件（{reason}）。它需要在 [{profile}] 行下写“名称 = 值”。"
    ),
    "config.aws_malformed": (
        "AWS 配置文件“{path}”不是有效的 INI 文件（{reason}）。请更正它，"
        "或用 AWS_CONFIG_FILE 或 AWS_SHARED_CREDENTIALS_FILE 指定另一个文件。"
    ),
    "config.unreadable": "无法读取“{path}”：{reason}。",
    "config.aws_no_bucket": (
        "AWS profile“{profile}”没有指定存储桶。请把 {variable} 设为存储桶名称。"
    ),
    "config.bad_value": "{field} = “{value}”（来自 {origin}）无效：{allowed}。",
    "config.ca_unreadable": (
        "无法读取 {origin} 指定的受信任证书颁发机构文件“{path}”：{reason}。请更正或删除 {origin}。"
    ),
    "config.ca_not_pem": (
        "{origin} 指定的受信任证书颁发机构文件“{path}”不是 PEM 格式的证书文件（{reason}）。"
        "请更正或删除 {origin}。"
    ),
    "config.needs_extra": (
        "{field} = {value} 需要尚未安装的库。请安装：pip install 's3up[{extra}]'"
    ),
    "config.needs_boto": (
        "{why}：这只能由 aioboto3 完成，而它无法导入（{detail}）。请运行：pip install aioboto3"
    ),
    "config.bad_endpoint": (
        "endpoint_url = “{value}”（来自 {origin}）不是形如 https://host/ 或 http://host:port/ 的地址。"
    ),
    "config.endpoint_userinfo": (
        "来自 {origin} 的 endpoint_url 含有“@”，像是带有用户名和密码的 URL，因此这里不显示它。"
        "请写成不含它们的 https://host/；密钥有各自的配置项。"
    ),
    "config.half_pair": (
        "设置了 {given}，却没有设置 {missing}（{origin}）。密钥对必须完整：请两个都设置，或都不设置。"
    ),
    "config.lone_token": (
        "{token} 未被使用：会话令牌只属于与它一同签发的密钥对，而正在使用的密钥对并非来自那里。"
        "请把 access key、secret key 和令牌设在同一处。"
    ),
    "config.proxy_scheme": (
        "无法使用代理 {proxy}（{variable}）：只支持 http:// 和 https:// 代理。"
        "请改用这类代理，或取消设置 {variable}，或把 endpoint 的主机加入 NO_PROXY。"
    ),
    "config.bad_proxy": (
        "代理“{proxy}”（{variable}）不是形如 http://host:port/ 的地址。"
        "请更正或取消设置 {variable}，或把 endpoint 的主机加入 NO_PROXY。"
    ),
    "config.readable_by_others": "“{path}”是存放密钥的文件，其权限却对其他用户开放。请运行：chmod 600 '{path}'",
    "config.unknown_datacenter": (
        "“{datacenter}”不在本版本已知的 RunPod 数据中心之列。如果上传失败，请检查拼写。"
    ),
}
