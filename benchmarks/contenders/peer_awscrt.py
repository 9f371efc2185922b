"""awscrt's S3Client called directly: boto3's CRT path ignores endpoint_url."""

import threading
from urllib.parse import quote, urlsplit

from awscrt import auth, http, io, s3
from benchmarks.contenders.job import Item, Job

IN_FLIGHT = 64
PART = 8 * 1024 * 1024


def make_client(job: Job) -> s3.S3Client:
    """Return a client with unsigned payloads, which is its own default."""
    provider = auth.AwsCredentialsProvider.new_static(job.access_key, job.secret_key)
    signing = s3.create_default_s3_signing_config(region=job.region, credential_provider=provider)
    tls = None
    if job.ca_bundle:
        context = io.TlsContextOptions()
        context.override_default_trust_store_from_path(None, job.ca_bundle)
        tls = io.ClientTlsContext(context).new_connection_options()
    mode = s3.S3RequestTlsMode.ENABLED if tls else s3.S3RequestTlsMode.DISABLED
    return s3.S3Client(
        region=job.region,
        signing_config=signing,
        tls_mode=mode,
        tls_connection_options=tls,
        part_size=PART,
    )


def put_request(job: Job, item: Item) -> http.HttpRequest:
    """Return the PUT the client turns into what the size asks for."""
    headers = http.HttpHeaders(
        [
            ("Host", urlsplit(job.endpoint).netloc),
            ("Content-Length", str(item.size)),
            ("Content-Type", "application/octet-stream"),
        ]
    )
    return http.HttpRequest("PUT", f"/{job.bucket}/{quote(item.key)}", headers)


def main() -> None:
    """Upload; an exception is a failure."""
    job = Job.from_argv()
    client = make_client(job)
    free = threading.Semaphore(IN_FLIGHT)
    failures: list[BaseException] = []

    def done(error: BaseException | None = None, **_rest: object) -> None:
        if error is not None:
            failures.append(error)
        free.release()

    for item in job.items():
        free.acquire()
        client.make_request(
            type=s3.S3RequestType.PUT_OBJECT,
            request=put_request(job, item),
            send_filepath=item.path,
            on_done=done,
        )
    for _ in range(IN_FLIGHT):
        free.acquire()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    main()
