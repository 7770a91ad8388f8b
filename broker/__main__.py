"""``python -m broker``: the broker as a process. Light: no command-line framework, no validator."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from broker.registry import BEAT_TIMEOUT_S
from broker.server import Server
from broker.sockets import Sockets, bound
from topology import address, exits
from topology.keys import KeysError, of_process
from topology.plan import BROKER, Plan
from topology.process import run, say, tether
from topology.sound import sound_plan


def serve(
    the_plan: Plan,
    sockets: Sockets,
    run_dir: Path,
    *,
    resume: bool = False,
    again: bool = False,
    beat_timeout_s: float = BEAT_TIMEOUT_S,
    tethered: bool = False,
) -> int:
    """Run one broker to the end of its run, on uvloop where there is one; the exit status.

    Ctrl-C stops the run in good order, a second one leaves at once, as SIGTERM does. A tethered broker leaves
    when its standard input ends, for then whoever started it is gone. With `again` it takes the place of a broker
    that died. Raises CheckpointError or IncarnationsError if what is in `run_dir` cannot be used.
    """

    async def main() -> int:
        loop = asyncio.get_running_loop()
        running = loop.create_task(server.run())
        await asyncio.sleep(0)  # now it can be told to stop
        interrupted = False

        def interrupt() -> None:
            nonlocal interrupted
            if interrupted:
                server.leave(exits.INTERRUPTED)
            else:
                interrupted = True
                say("broker: stopping; once more to leave at once")
                server.stop()

        loop.add_signal_handler(signal.SIGINT, interrupt)

        def terminated() -> None:
            say("broker: leaving; the run is not ended, and one that is started with --again goes on with it")
            server.leave(exits.OK)

        loop.add_signal_handler(signal.SIGTERM, terminated)
        if tethered:
            tether(BROKER, server.leave)
        status = await running
        return exits.INTERRUPTED if interrupted else status

    server = Server(the_plan, sockets, run_dir, resume=resume, again=again, beat_timeout_s=beat_timeout_s)
    return run(main())


def read_plan(path: Path) -> Plan:
    """The plan in a file; ValueError with one line if there is none."""
    try:
        return sound_plan(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged or of another version: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``python -m broker``, as the supervisor starts it."""
    parser = argparse.ArgumentParser(prog="python -m broker", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help="plan.json of the run")
    parser.add_argument("--address", default=address.DEFAULT, help="tcp://HOST:PORT or ipc:///FOLDER/")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--again", action="store_true", help="take the place of a broker of this run that died")
    parser.add_argument("--beat-timeout", type=float, default=BEAT_TIMEOUT_S, metavar="SECONDS")
    parser.add_argument("--keys", metavar="DIR", help="folder of the keys, for an address that is tcp")
    parser.add_argument("--insecure", action="store_true", help="tcp without keys")
    parser.add_argument("--tethered", action="store_true", help="leave when standard input ends")
    o = parser.parse_args(arguments)
    try:
        the_plan = read_plan(o.plan)
        address.control(o.address)  # refused before its keys are looked for
        keys = of_process(BROKER, [o.address], o.keys, o.insecure)
        with bound(o.address, keys) as sockets:
            return serve(
                the_plan,
                sockets,
                o.run_dir,
                resume=o.resume,
                again=o.again,
                beat_timeout_s=o.beat_timeout,
                tethered=o.tethered,
            )
    except (address.AddressError, KeysError) as error:
        say(f"broker: {error}")
        return error.exit_code
    except ValueError as error:  # the plan, the manifest, or what the broker before has put down
        say(f"broker: {error}")
        return exits.FAILED


if __name__ == "__main__":
    sys.exit(main())
