"""``torchref.kinetic``: arguments and exit codes; whatever is slow to import is imported by the verb that needs it."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import torchref_kinetic_plugin
from torchref_kinetic_plugin.errors import KineticsError

#: Exit codes.
DONE, BUG, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: Verb to its module and one line of help.
VERBS = {
    "refine": "refine what a refinement file asks for",
    "check": "validate a refinement file, its models and data, without fitting",
    "campaign": "compute a table of runs of one refinement, on all cores or a cluster, and compare them",
    "compare": "rank several schemes on the same data by what each says of timepoints left out",
    "init": "write a refinement file to start from",
    "simulate": "simulate a series with known truth",
    "report": "make the report of a finished refinement again, with what was found since",
    "profile": "profile likelihoods: how far each parameter can go while the others follow",
    "bootstrap": "refit to data drawn again and again: how much each parameter scatters",
    "starts": "fit from many starts: whether there is one best fit",
    "plugins": "list plugins, what they offer, and which failed",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return its exit code.

    0: done. 2: the input is wrong, said in one message. 130: interrupted. 1: a bug, with a traceback.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.verb is None:
        parser.print_help()
        return BAD_INPUT
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        importlib.import_module(f"torchref_kinetic_plugin.cli.{options.verb}").run(options)
    except KineticsError as error:
        sys.stdout.flush()
        print(f"torchref.kinetic {options.verb}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        print(f"\ntorchref.kinetic {options.verb}: interrupted; {_hint(stop, options)}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        sys.stderr.close()
        return DONE
    except OSError as error:
        # Files of results say so themselves; this is what the output was led to.
        if error.errno not in _NO_ROOM:
            raise
        print(f"torchref.kinetic {options.verb}: cannot print any more: {error.strerror}", file=sys.stderr)
        # What waits to be printed must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD_INPUT
    return DONE


def _hint(stop: KeyboardInterrupt, options: argparse.Namespace) -> str:
    """What is kept, and how to go on; the verb may have noted it."""
    if options.verb == "campaign":
        return "finished runs are kept: the same command goes on with the others"
    if options.verb == "refine" and options.resume:
        return "what was finished is kept: the same command goes on from there"
    return "; ".join(getattr(stop, "__notes__", ["no result was written: the same command begins anew"]))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs; costs nothing to build."""
    parser = argparse.ArgumentParser(
        prog="torchref.kinetic",
        description="Kinetic refinement of time-resolved crystallographic series.",
        epilog="torchref.kinetic VERB --help says more of a verb.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {torchref_kinetic_plugin.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    made = {
        name: verbs.add_parser(name, help=text, description=text[0].upper() + text[1:]) for name, text in VERBS.items()
    }
    analyses = ("profile", "bootstrap", "starts")
    for name in ("refine", "check", *analyses):
        made[name].add_argument("file", help="refinement file, TOML")
    made["compare"].add_argument("files", nargs="+", metavar="FILE", help="refinement files of the same data, TOML")
    made["compare"].add_argument(
        "--scheme",
        action="append",
        default=[],
        metavar="CHART",
        help='flow chart beside that of the one file, e.g. "A->B,B->A"; repeatable',
    )
    made["compare"].add_argument("-o", "--output", metavar="DIR", help="where comparison.csv and .json are written")
    for name in ("refine", "check", "compare", *analyses):
        made[name].add_argument("--d-min", type=float, metavar="A", help="high-resolution limit in place of the file's")
    made["campaign"].add_argument("file", help="campaign file, TOML; see docs/campaigns.md")
    for name in ("refine", "check", "compare", "campaign", "simulate", "plugins", *analyses):
        made[name].add_argument("--no-plugins", action="store_true", help="built-in plugins only")
    for name in ("refine", "check", "compare", "campaign", "init", "simulate", "report", *analyses):
        made[name].add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    for name in ("refine", "campaign", *analyses):
        made[name].add_argument("-o", "--output", metavar="DIR", help="output directory in place of the file's")
    for name in ("refine", "compare"):
        made[name].add_argument("--device", default="cpu", help="where to compute, e.g. cuda (default: cpu)")
    made["refine"].add_argument("--resume", action="store_true", help="go on from the last cycle of a run cut short")
    made["check"].add_argument(
        "--quick", action="store_true", help="leave out what the data can determine, which needs structure factors"
    )
    made["init"].add_argument("directory", metavar="DIR", help="where refinement.toml is written")
    made["init"].add_argument("files", nargs="+", metavar="FILE", help="models (the reference first) and reflections")
    made["init"].add_argument(
        "--reference", action="append", default=[], metavar="FILE", help="reflections without the trigger; repeatable"
    )
    made["init"].add_argument("--force", action="store_true", help="replace a refinement.toml that is there")
    made["simulate"].add_argument("file", help="simulation file, TOML; see docs/simulate.md")
    made["simulate"].add_argument("-o", "--output", required=True, metavar="DIR", help="where the series is written")
    made["report"].add_argument("directory", metavar="DIR", help="output directory of a refinement")
    made["campaign"].add_argument(
        "--list", action="store_true", help="show the table of runs and what is finished, and compute nothing"
    )
    made["campaign"].add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster whose workers compute, e.g. tcp://10.0.0.1:8786"
    )
    made["campaign"].add_argument("--retry", action="store_true", help="compute runs again that have failed")
    _add_analyses(made)
    return parser


def _add_analyses(made: Mapping[str, argparse.ArgumentParser]) -> None:
    """What profiles, bootstrap and starts have of their own."""
    made["profile"].add_argument(
        "--parameter",
        nargs="+",
        action="extend",
        metavar="NAME",
        help='parameters wanted, as "B->C" or "efficiency A->B" (default: all that are refined)',
    )
    made["bootstrap"].add_argument("-n", dest="number", type=int, default=100, help="draws (default: 100)")
    made["bootstrap"].add_argument(
        "--parametric", action="store_true", help="draw intensities from the model, not reflections from the data"
    )
    made["bootstrap"].add_argument(
        "--hold-error-model", action="store_true", help="leave the error model as the data themselves have it"
    )
    made["starts"].add_argument("-n", dest="number", type=int, default=50, help="starts (default: 50)")
    for name in ("bootstrap", "starts", "campaign"):
        made[name].add_argument(
            "--workers", type=int, metavar="N", help="processes that compute (default: as many as there are cores)"
        )


def entry() -> None:
    """Entry point of the console script; a queue that ends a job does it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
