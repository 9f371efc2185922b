"""The proxy from the shell: `python -m s3_uploader.testing.faults --upstream URL --fault SPEC`."""

import argparse
import signal
import sys
from collections.abc import Sequence

from s3_uploader.testing.faults.proxy import FaultProxy
from s3_uploader.testing.faults.request_log import Record
from s3_uploader.testing.faults.spec import describe_effects


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proxy until Ctrl-C or SIGTERM; the URL goes to stdout, the requests to stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m s3_uploader.testing.faults",
        description="Pass S3 requests to a server, except for the faults given.",
    )
    parser.add_argument("--upstream", metavar="URL", help="the S3 server")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; default a free one")
    parser.add_argument(
        "--fault",
        metavar="SPEC",
        action="append",
        default=[],
        help="OPERATION:EFFECT[:NAME=VALUE]..., such as UploadPart:503:first=2; may be repeated",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all random choices; default 0")
    parser.add_argument("--ca", metavar="FILE", default="", help="authorities for an https server")
    parser.add_argument("--list", action="store_true", help="show the effects and exit")
    options = parser.parse_args(arguments)
    if options.list:
        sys.stdout.writelines(f"{line}\n" for line in describe_effects())
        return 0
    if not options.upstream:
        parser.error("--upstream is needed")
    try:
        proxy = FaultProxy(
            options.upstream,
            options.fault,
            seed=options.seed,
            port=options.port,
            ca_bundle=options.ca,
            on_request=_show,
        )
        # SIGINT too: a shell that starts us in the background has it ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        with proxy:
            sys.stdout.write(f"{proxy.url}\n")
            sys.stdout.flush()
            proxy.join()
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        pass
    return 0


def _show(record: Record) -> None:
    sys.stderr.write(f"{record}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
