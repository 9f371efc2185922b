"""What became of an upload: codes of `upload`, `outcome`, `journal`, `integrity`, `verify`."""

TEXTS = {
    # One upload as a whole.
    "upload.foreign": "“{key}”的分片上传 {upload_id} 不在上传记录中，可能属于他人。如仍要中止，请传入 force=True。",
    "upload.active": "“{key}”的分片上传 {upload_id} 正在本进程或其他进程中进行。请先停止它。",
    "upload.kept": "“{key}”的分片上传已保留：下次将同一文件上传到同一键时可以从中断处继续。",
    "upload.lost_create": (
        "{at} 为“{key}”创建分片上传的请求没有收到成功的响应，此后也未能查明它是否生效；现已停止查找。"
        "如果已生效，该分片上传仍未结束，且不含任何分片：可用 pending_uploads(foreign=True) 列出，"
        "用 abort_upload(..., force=True) 中止。"
    ),
    "upload.smaller_parts": (
        "{size} 字节的请求体被拒绝（过大）；“{key}”将以更小的分片重新上传，每片 {part_size} 字节（受存储的分片数上限所限时会略大）。"
    ),
    "upload.size_only": "存储的响应（ETag、校验和）不能证明每个对象的内容；不能证明时只比较大小。",
    "upload.stopped": "未尝试：之前的错误使整个上传停止。",
    "upload.closed_early": "调用尚未结束，Uploader 就被关闭了。",
    "upload.failed_file": "{name} 上传失败：{reason}",
    "upload.unknown_file": "无法确认 {name} 是否已上传：{reason}",
    "upload.failed_files": "{total} 个文件中有 {failed} 个不能确认已上传；首个为 {name}：{reason}",
    "upload.closed": "该 Uploader 未打开。请在“async with Uploader(...) as uploader:”中使用。",
    # What could not be found out.
    "outcome.unknown": "无法确认“{key}”是否已按读取的内容发布：{reason} 请稍后用 verify_file 检查，或重新上传。",
    # The journal.
    "journal.refused": (
        "“{path}”不是 s3_uploader 的上传记录文件（{reason}），已原样保留：中断的上传将从头开始。"
        "请将 S3_UPLOADER_JOURNAL 设为其他路径或 off。"
    ),
    "journal.unavailable": (
        "无法使用上传记录文件“{path}”（{reason}）：中断的上传可能需要从头开始。请修复或删除它，或将 S3_UPLOADER_JOURNAL 设为其他路径或 off。"
    ),
    # Evidence.
    "integrity.etag": "存储表示收到的“{key}”与读取的字节不同：其 ETag 为 {actual}，应为 {expected}。请勿信任该对象，请重新上传。",
    "integrity.checksum": (
        "存储表示收到的“{key}”与读取的字节不同：其 {algorithm} 为 {actual}，应为 {expected}。请勿信任该对象，请重新上传。"
    ),
    "integrity.no_checksum": (
        "存储没有说明是否校验了“{key}”的 {algorithm}；它可能不支持这种校验和。请把 S3_UPLOADER_INTEGRITY 设为 auto 或 md5，"
        "然后重新上传。"
    ),
    "integrity.damaged": (
        "“{key}”处的对象由本次上传产生，但其内容与该文件不符：其 ETag 为 {actual}，应为 {expected}。"
        "请勿信任它，请重新上传。"
    ),
    "integrity.no_md5": (
        "“{key}”的 ETag {actual} 不能证明其内容，而 integrity=md5 要求证明。"
        "请把 S3_UPLOADER_INTEGRITY 设为 auto，或改用 ETag 为 MD5 的存储。"
    ),
    "integrity.parts": "存储拒绝发布“{key}”：它认为分片拼成的内容与读取的字节不同（{algorithm} {expected}）。请重新上传。",
    "integrity.size": "存储表示“{key}”有 {actual} 字节，应为 {expected}。请重新上传。",
    # Verification.
    "verify.same": "“{key}”与存储中的内容逐字节一致。",
    "verify.different": "存储中的“{key}”与本地文件内容不同。请重新上传。",
    "verify.missing": "存储表示没有“{key}”。请上传它。",
    "verify.failed_file": "{name} 校验失败：{reason}",
    "verify.failed_files": "{total} 个文件中有 {failed} 个不能确认与存储中的一致；首个为 {name}：{reason}",
}
