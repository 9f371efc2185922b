"""Profiles, environment variables and settings: codes of `config`."""

TEXTS = {
    "config.no_profile_file": (
        "No S3 configuration: '{path}' does not exist and the environment is incomplete. "
        "Create it with a section [{profile}] that has aws_access_key_id, aws_secret_access_key, "
        "datacenter and volume_id, or set RUNPOD_S3_ACCESS_KEY, RUNPOD_S3_SECRET_KEY, "
        "RUNPOD_DATACENTER and RUNPOD_VOLUME_ID. For a store other than RunPod, set "
        "S3_UPLOADER_ACCESS_KEY, S3_UPLOADER_SECRET_KEY, S3_UPLOADER_BUCKET and "
        "S3_UPLOADER_ENDPOINT_URL."
    ),
    "config.incomplete": (
        "No S3 configuration: '{path}' does not exist and the environment is incomplete. "
        "Set {variables}, or create the file with a section [{profile}] that has {fields}."
    ),
    "config.contradiction": (
        "{unused} and {used} contradict each other; {used} is used. Remove the one you do not mean."
    ),
    "config.unknown_profile": (
        "There is no profile '{profile}' in '{path}', and no AWS profile of that name. "
        "Profiles in the file: {known}."
    ),
    "config.missing_key": (
        "{field} is missing or blank in [{profile}] of '{path}'. "
        "Add it there, or set {variable} in the environment."
    ),
    "config.malformed": (
        "'{path}' is not a valid INI file ({reason}). "
        "It needs 'name = value' lines under a [{profile}] line."
    ),
    "config.aws_malformed": (
        "The AWS configuration file '{path}' is not a valid INI file ({reason}). Fix it, or point "
        "AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE at another."
    ),
    "config.unreadable": "'{path}' cannot be read: {reason}.",
    "config.aws_no_bucket": (
        "The AWS profile '{profile}' names no bucket. Set {variable} to the bucket's name."
    ),
    "config.bad_value": "{field} = '{value}' (from {origin}) is not allowed: {allowed}.",
    "config.ca_unreadable": (
        "'{path}', the file of trusted certificate authorities set by {origin}, cannot be read: "
        "{reason}. Correct {origin}, or remove it."
    ),
    "config.ca_not_pem": (
        "'{path}', the file of trusted certificate authorities set by {origin}, is not a PEM file of "
        "certificates ({reason}). Correct {origin}, or remove it."
    ),
    "config.needs_extra": (
        "{field} = {value} needs a library that is not installed. "
        "Install the extra: pip install 's3up[{extra}]'"
    ),
    "config.needs_boto": (
        "{why}: only aioboto3 can serve this, and it cannot be imported ({detail}). "
        "Run: pip install aioboto3"
    ),
    "config.bad_endpoint": (
        "endpoint_url = '{value}' (from {origin}) is not a URL like https://host/ or http://host:port/."
    ),
    "config.endpoint_userinfo": (
        "The endpoint_url from {origin} contains '@', as a URL with a user name and password does, so "
        "it is not shown here. Write it as https://host/; the keys have their own fields."
    ),
    "config.half_pair": (
        "{given} is set, but not {missing} ({origin}). Set both halves of the key pair, or neither."
    ),
    "config.lone_token": (
        "{token} is ignored: a session token belongs to the key pair it was issued with, and the "
        "pair in use is set elsewhere. Set access key, secret key and token in one place."
    ),
    "config.proxy_scheme": (
        "The proxy {proxy} ({variable}) cannot be used: only http:// and https:// proxies work. "
        "Set one of those, or unset {variable}, or add the endpoint's host to NO_PROXY."
    ),
    "config.bad_proxy": (
        "The proxy '{proxy}' ({variable}) is not a URL like http://host:port/. Correct {variable} or "
        "unset it, or add the endpoint's host to NO_PROXY."
    ),
    "config.readable_by_others": (
        "'{path}' holds secret keys, and other users have access to it. Run: chmod 600 '{path}'"
    ),
    "config.unknown_datacenter": (
        "'{datacenter}' is not a RunPod datacenter known to this version. "
        "If uploads fail, check its spelling."
    ),
}
