"""Failed requests: codes of `store` and `process`."""

TEXTS = {
    # The store's response, and the way to the store.
    "store.access_denied": (
        "Access to s3://{bucket}/{key} was refused ({status} {s3_code}). Check that this key pair "
        "may read and write there, that bucket (volume) and region (datacenter) match, and that no "
        "proxy or firewall in between refuses the request."
    ),
    "store.signature": (
        "The store rejected the signature ({status} SignatureDoesNotMatch). Check "
        "aws_secret_access_key: it is probably wrong, or belongs to another access key."
    ),
    "store.another_object": (
        "The store now shows another version of '{key}' (ETag {actual}) than its response named "
        "({expected}), or one that is older than this upload."
    ),
    "store.bad_response": (
        "The response of {endpoint} to {operation} of '{key}' ({status}) is not what an S3 store sends: "
        "{detail}. Check the endpoint URL and anything in between, such as a proxy."
    ),
    "store.needs_md5": "The store requires Content-MD5 with the body of '{key}' ({status} {s3_code}).",
    "store.signature_of_key": (
        "The store rejected the signature of a request for '{key}' ({status} "
        "SignatureDoesNotMatch) although it has accepted others with the same keys. Probably the "
        "store, or a proxy in front of it, reads this name differently: rename the file."
    ),
    "store.redirected": (
        "{endpoint} redirects {operation} of '{key}' to {target}. The redirect is not followed: {target} "
        "is not known to belong to this store. If it does, set endpoint_url to its address."
    ),
    "store.moved": (
        "{endpoint} redirects {operation} of '{key}' to {target}. Set endpoint_url to {suggestion}"
    ),
    "store.redirected_to_http": (
        "{endpoint} redirects {operation} of '{key}' to {target}. The redirect is not followed: "
        "the connection would not be encrypted."
    ),
    "store.rest_key": (
        "The request was refused ({status} {s3_code}), and the secret key begins with rpa_, as "
        "RunPod's REST API keys do; they do not work for S3. Create an S3 API key in the RunPod "
        "settings; its secret begins with rps_."
    ),
    "store.unknown_access_key": (
        "The store does not know this access key ({status} InvalidAccessKeyId). Check "
        "aws_access_key_id."
    ),
    "store.clock_skew": (
        "The store says that this machine's clock is wrong (RequestTimeTooSkewed). Set the clock and "
        "try again."
    ),
    "store.expired_token": (
        "The store says that the session token has expired ({s3_code}). Renew the credentials and "
        "try again."
    ),
    "store.no_bucket": (
        "The store at {endpoint} has no bucket or volume '{bucket}'. Check its name (the volume id) "
        "and that it is in this region (datacenter)."
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
        "The store does not, or no longer, know the multipart upload of '{key}'. Upload the file again."
    ),
    "store.bad_listing": (
        "The store's response to {operation} of '{key}' is an unusable listing. Try again later."
    ),
    "store.parts_lost": (
        "The store has lost {count} parts of '{key}' that it had accepted. Upload it again later."
    ),
    "store.not_s3": "{endpoint} does not respond like an S3 store. Check the endpoint URL.",
    "store.not_found": "The store says that s3://{bucket}/{key} does not exist.",
    "store.precondition": (
        "The store refused a request for s3://{bucket}/{key}: a precondition failed ({status})."
    ),
    "store.rejected": "{operation} of '{key}' was rejected ({status} {s3_code}): {detail}",
    "store.busy": (
        "{operation} of '{key}' was not served ({status} {s3_code}: {detail}). The store, or a "
        "proxy in front of it, may be overloaded or down; try again later."
    ),
    "store.refused": (
        "{endpoint} refuses connections. Check the endpoint URL, and that the service is running."
    ),
    "store.unknown_host": (
        "The host of {endpoint} could not be resolved. Check the endpoint URL or datacenter, and DNS."
    ),
    "store.proxy_unreachable": (
        "{endpoint} cannot be reached: the proxy {proxy} ({variable}) does not accept connections "
        "({reason}). Check the proxy, or unset {variable}, or add the endpoint's host to NO_PROXY."
    ),
    "store.proxy_refused": (
        "The proxy {proxy} ({variable}) refuses to connect to {endpoint}: {reason}. Check its address, "
        "user name and password, and that it allows this host; or add the host to NO_PROXY."
    ),
    "store.tls": (
        "The TLS certificate of {endpoint} is not trusted ({detail}). "
        "If its certificate authority is your own, set S3_UPLOADER_CA_BUNDLE to the authority's PEM file."
    ),
    "store.no_tls": (
        "The TLS connection to {endpoint} failed ({detail}). If the endpoint serves plain http, write "
        "http:// in endpoint_url."
    ),
    "store.timeout": "{endpoint} did not respond in time during {operation} of '{key}' ({detail}).",
    "store.reset": "The connection to {endpoint} failed during {operation} of '{key}' ({detail}).",
    "store.no_credentials": (
        "No usable AWS credentials or region were found ({detail}). Check the AWS profile, or write "
        "the keys into your own profile."
    ),
    "store.bad_bucket": "'{bucket}' is not a valid bucket name or volume id. Check bucket (volume_id).",
    "store.unexpected": "{operation} of '{key}' failed unexpectedly: {detail}",
    # What this process lacks.
    "process.descriptors": (
        "This process cannot open another file or connection: its limit is {limit} (ulimit -n). "
        "Raise the limit, or lower S3_UPLOADER_MAX_REQUESTS."
    ),
    "process.open_files": (
        "This machine cannot open another file or connection: the system-wide limit is reached "
        "(ENFILE). Close programs, or raise the limit (fs.file-max)."
    ),
    "process.threads": (
        "This process cannot start another thread. Raise its limits (ulimit -u, ulimit -v, the "
        "container's process limit), or lower S3_UPLOADER_MAX_REQUESTS."
    ),
    "process.memory": (
        "This process cannot get more memory ({detail}). Raise its limit (ulimit -v, the container's "
        "memory limit), or lower S3_UPLOADER_MAX_REQUESTS."
    ),
    "process.ending": (
        "The Python interpreter is exiting and no longer starts the threads that this upload needs "
        "({detail}). Upload before the main thread ends, and wait for the upload there (Thread.join)."
    ),
}
