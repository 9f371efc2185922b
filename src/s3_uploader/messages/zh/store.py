"""Failed requests: codes of `store` and `process`."""

TEXTS = {
    # The store's response, and the way to the store.
    "store.access_denied": (
        "对 s3://{bucket}/{key} 的访问被拒绝（{status} {s3_code}）。请检查该密钥是否有读写权限，存储桶（Volume ID）和区域（datacenter）"
        "是否匹配，以及途中是否有代理或防火墙拒绝。"
    ),
    "store.signature": (
        "存储拒绝了签名（{status} SignatureDoesNotMatch）。请检查 aws_secret_access_key：通常是它有误，或属于另一个 access "
        "key。"
    ),
    "store.another_object": (
        "存储的响应所指的“{key}”版本（ETag {expected}）与现在显示的（{actual}）不同，或者该对象早于本次上传。"
    ),
    "store.bad_response": (
        "{endpoint} 对“{key}”的 {operation} 的响应（{status}）不是 S3 存储应有的响应：{detail}。"
        "请检查 endpoint 地址，以及中间的代理等设备。"
    ),
    "store.needs_md5": "存储要求“{key}”的请求体带有 Content-MD5（{status} {s3_code}）。",
    "store.signature_of_key": (
        "存储拒绝了对“{key}”的请求的签名（{status} SignatureDoesNotMatch），但此前接受过同一密钥的其他请求。"
        "通常是存储或其前面的代理对这个名称的解读不同：请重命名该文件。"
    ),
    "store.redirected": (
        "{endpoint} 将“{key}”的 {operation} 重定向到 {target}，未予跟随：无法确认它属于该存储。"
        "如果它就是您的存储，请将 endpoint_url 设为它的地址。"
    ),
    "store.moved": (
        "{endpoint} 将“{key}”的 {operation} 重定向到 {target}。请将 endpoint_url 设为 {suggestion}"
    ),
    "store.redirected_to_http": (
        "{endpoint} 将“{key}”的 {operation} 重定向到 {target}，未予跟随：那里的连接没有加密。"
    ),
    "store.rest_key": (
        "请求被拒绝（{status} {s3_code}），而该 secret key 以 rpa_ 开头，与 RunPod REST API 的密钥相同；这种密钥不能用于 S3。"
        "请在 RunPod 设置中创建 S3 API 密钥，其 secret key 以 rps_ 开头。"
    ),
    "store.unknown_access_key": (
        "存储不认识该 access key（{status} InvalidAccessKeyId）。请检查 aws_access_key_id。"
    ),
    "store.clock_skew": "存储认为本机时钟不准（RequestTimeTooSkewed）。请校准时钟后重试。",
    "store.expired_token": "存储表示会话令牌已过期（{s3_code}）。请更新凭证后重试。",
    "store.no_bucket": "{endpoint} 的存储没有存储桶（卷）“{bucket}”。请检查存储桶（Volume ID），以及它是否在该区域（datacenter）。",
    "store.too_large": (
        "{size} 字节的请求体被拒绝（过大，{status} {s3_code}）。请设置更小的 part_size（S3_UPLOADER_PART_SIZE）。"
    ),
    "store.full": "存储表示空间已满（{status}）。请清理或扩容卷。",
    "store.no_such_upload": "存储中没有（或已没有）“{key}”的分片上传。请重新上传。",
    "store.bad_listing": "存储对 {operation}（{key}）返回的列表无法使用。请稍后再试。",
    "store.parts_lost": "存储缺少“{key}”的 {count} 个曾经接收的分片。请稍后重新上传。",
    "store.not_s3": "{endpoint} 的响应不像来自 S3 存储。请检查 endpoint 地址。",
    "store.not_found": "存储表示 s3://{bucket}/{key} 不存在。",
    "store.precondition": "存储拒绝了对 s3://{bucket}/{key} 的请求：前提条件不满足（{status}）。",
    "store.rejected": "“{key}”的 {operation} 被拒绝（{status} {s3_code}）：{detail}",
    "store.busy": (
        "“{key}”的 {operation} 未被处理（{status} {s3_code}：{detail}）。存储或其前面的代理可能过载或不可用，请稍后重试。"
    ),
    "store.refused": "{endpoint} 拒绝连接。请检查 endpoint 地址以及服务是否在运行。",
    "store.unknown_host": "无法解析 {endpoint} 的主机。请检查 endpoint 地址或 datacenter，以及 DNS。",
    "store.proxy_unreachable": (
        "无法连接 {endpoint}：代理 {proxy}（{variable}）没有接受连接（{reason}）。"
        "请检查代理，或取消设置 {variable}，或把 endpoint 的主机加入 NO_PROXY。"
    ),
    "store.proxy_refused": (
        "代理 {proxy}（{variable}）拒绝转发到 {endpoint}：{reason}。"
        "请检查代理的地址、用户名和密码，以及它是否允许访问该主机；或把该主机加入 NO_PROXY。"
    ),
    "store.tls": (
        "{endpoint} 的 TLS 证书不受信任（{detail}）。"
        "如果使用自己的证书颁发机构，请把 S3_UPLOADER_CA_BUNDLE 设为其 PEM 文件。"
    ),
    "store.no_tls": "{endpoint} 没有正常使用 TLS（{detail}）。如果它提供的是明文 http，请在 endpoint_url 中写 http://。",
    "store.timeout": "{endpoint} 在“{key}”的 {operation} 过程中没有及时响应（{detail}）。",
    "store.reset": "与 {endpoint} 的连接在“{key}”的 {operation} 过程中失败（{detail}）。",
    "store.no_credentials": "找不到可用的 AWS 凭证或区域（{detail}）。请检查 AWS profile，或在自己的 profile 中写入密钥。",
    "store.bad_bucket": "“{bucket}”不是有效的存储桶名称或 Volume ID。请检查 bucket（volume_id）。",
    "store.unexpected": "“{key}”的 {operation} 意外失败：{detail}",
    # What this process lacks.
    "process.descriptors": (
        "本进程无法再打开文件或连接：上限为 {limit}（ulimit -n）。"
        "请提高该上限，或减小 S3_UPLOADER_MAX_REQUESTS。"
    ),
    "process.open_files": (
        "本机无法再打开文件或连接：已达到整个系统的上限（ENFILE）。请关闭一些程序，或提高 fs.file-max。"
    ),
    "process.threads": (
        "本进程无法再启动线程。请提高其上限（ulimit -u、ulimit -v、容器的进程数上限），"
        "或减小 S3_UPLOADER_MAX_REQUESTS。"
    ),
    "process.memory": (
        "本进程无法再获得内存（{detail}）。请提高其上限（ulimit -v、容器的内存上限），"
        "或减小 S3_UPLOADER_MAX_REQUESTS。"
    ),
    "process.ending": (
        "Python 解释器正在退出，不再启动本次上传所需的线程（{detail}）。"
        "请在主线程结束之前上传，并在主线程中等待其完成（Thread.join）。"
    ),
}
