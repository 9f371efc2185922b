"""The log: codes of `log`."""

TEXTS = {
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
    "log.verified": "✅ {name}: {reason}",
    "log.not_verified": "❌ {name}: {reason}",
    "log.failed_verify": "❌ 校验失败: {reason}",
    "log.reused": "   ♻️  其中 {size} 已在之前的上传中传到存储",
    "log.unknown": "❔ 结果未知: {reason}",
    "log.item_unknown": "   ❔ 未知: {reason}\n",
}
