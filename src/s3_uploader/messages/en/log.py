"""The log: codes of `log`."""

TEXTS = {
    "log.file": "📂 Local file: {path}\n   Size: {size}\n",
    "log.directory": "📂 Local directory: {path}\n   Files: {files}\n   Total size: {size}\n",
    "log.store": "🔧 S3 configuration\n   Endpoint: {endpoint}\n   Region: {region}\n   Volume: {bucket}\n",
    "log.store_short": "🔧 S3 configuration\n   Endpoint: {endpoint}\n   Volume: {bucket}\n",
    "log.target": "📍 Target path: {key}\n   Full S3 path: {url}\n",
    "log.pod_path": "💡 In a pod this is {path}",
    "log.pod_hint": (
        "   {store} mounts the volume's root at {mount}; "
        'models_subdir="{subdir}" puts it under {better}'
    ),
    "log.start_file": "📤 Uploading...",
    "log.start_directory": "📤 Uploading {files} files...\n",
    "log.progress": "   Progress: {percent:.1f}% ({done} / {size}) - {speed}/s",
    "log.file_done": "\n✅ Upload succeeded!\n   Elapsed: {seconds:.1f} s\n   Average speed: {speed}/s",
    "log.failed": "❌ Upload failed: {reason}",
    "log.item": "[{index}/{total}] {name}",
    "log.item_target": "   → {url}",
    "log.item_ok": "   ✅ OK\n",
    "log.item_failed": "   ❌ Failed: {reason}\n",
    "log.skipped": "⚠️  Skipped {name}: {reason}",
    "log.warning": "⚠️  {reason}",
    "log.retry": "   ↻ {operation} {name}: {reason} Retrying in {delay:.1f} s (attempt {attempt})",
    "log.summary": (
        "============================================================\n"
        "📊 Upload finished\n   Total: {total} files\n   Succeeded: {success}\n   Failed: {failed}"
    ),
    "log.summary_unknown": "   Of these, outcome unknown: {unknown}",
    "log.summary_linked": "   Through symbolic links: {linked} (outside the directory: {outside})",
    "log.verified": "✅ {name}: {reason}",
    "log.not_verified": "❌ {name}: {reason}",
    "log.failed_verify": "❌ Verification failed: {reason}",
    "log.reused": "   ♻️  {size} already at the store from an earlier upload",
    "log.unknown": "❔ Outcome unknown: {reason}",
    "log.item_unknown": "   ❔ Unknown: {reason}\n",
}
