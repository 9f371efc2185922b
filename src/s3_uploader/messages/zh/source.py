"""What is uploaded, and to which key: codes of `source`, `key` and `plan`."""

TEXTS = {
    # Paths and files.
    "source.missing": "“{path}”不存在。请检查路径。",
    "source.is_directory": "“{path}”是目录。请改用 upload_directory 或 verify_directory。",
    "source.not_directory": "“{path}”是文件，不是目录。请改用 upload_file 或 verify_file。",
    "source.unreadable": "无法读取“{path}”：{reason}。请检查权限和磁盘。",
    "source.special": "“{path}”是 {kind}，只能上传普通文件。请删除它，或把其内容复制到文件中。",
    "source.broken_link": "“{path}”是一个目标不存在的链接。请修复或删除它。",
    "source.link_cycle": "“{path}”指回包含它的目录，不再重复进入。",
    "source.not_inside": "“{path}”不是（或不再是）在目录中找到的那个文件，可能已被符号链接取代。因此不上传（symlinks=inside 或 skip）。",
    "source.link_outside": "“{path}”是指向目录之外（“{target}”）的符号链接，按设置不上传（symlinks=inside）。",
    "source.link_skipped": "“{path}”是符号链接，按设置不上传（symlinks=skip）。",
    "source.touched": (
        "“{path}”在此期间被改动过：大小和修改时间未变，但状态变更时间变了。可能是设置了它的权限、属主、名称、链接或属性，"
        "也可能是写入内容后又把修改时间改了回去。请重试。"
    ),
    "source.vanished": "“{path}”在此期间消失了。请恢复它后重试。",
    "source.changed": "“{path}”在此期间被修改（{detail}）。请在没有程序写入时重试。",
    "source.bad_path": "路径 {path} 含有 NUL 字符，或其他文件名不能含有的字符。",
    "source.no_parent": "“{path}”没有自己的目录名，include_parent_dir 无法添加。",
    # Keys.
    "key.empty": "对象键为空。请给它一个名称。",
    "key.empty_segment": "对象键“{key}”含有空的路径段（“//”或以“/”结尾）。名称之间只写一个“/”，并以名称结尾。",
    "key.dot_segment": "对象键“{key}”含有“{segment}”段，不同存储对它的解释不同。请去掉它。",
    "key.nul": "对象键“{key}”含有 NUL 字符。请去掉它。",
    "key.too_long": "对象键“{key}”的 UTF-8 长度为 {length} 字节，S3 最多允许 {limit}。请缩短路径。",
    "key.long_segment": (
        "对象键“{key}”中有一段名称的 UTF-8 长度为 {length} 字节，该存储最多允许两个“/”之间 {limit} 字节。请缩短它。"
    ),
    "key.not_utf8": "名称“{key}”不是有效的 UTF-8，S3 无法保存。请重命名文件。",
    # Sizes.
    "plan.too_large": (
        "文件为 {size} 字节；按当前对该存储的限制，单个对象最多 {limit} 字节（{max_parts} 个分片）。请拆分文件；如果存储允许更多，请调大 max_parts "
        "或 max_part_size。"
    ),
}
