"""subprocess: a program that the policy declares as a sink gets what it is given only after it was checked.

Source: none.

Sink: every program that the policy declares, `[sinks."ads.upload"] at = { command = ["ads-upload", "aws s3 cp *"] }`.

Covered: `Popen`, `run`, `call`, `check_output`, asyncio's processes: the arguments, `env`, a shell's command with every
program in it; `input` and what is written to `stdin`; `os.system` and `os.popen`.

Not covered: `os.exec*`, `os.spawn*`, `os.posix_spawn`; the input of asyncio's processes; labelled names and
values of `os.environ`, which keeps bytes.

    import taint
    taint.install(integrations=["subprocess"])
    import subprocess
    taint.configure(policy={"sinks": {"ads": {"purpose": "advertising", "at": {"command": ["echo"]}}}}, mode="redact")
    said = subprocess.check_output(["echo", taint.label("+14155550100", purpose="security.mfa")])
    said.strip() == b"[redacted]"
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taint.carriers.proxy import exact
from taint.flows.leaving import has_sinks, let_go_guarded, sink_at
from taint.flows.outcome import look_past
from taint.integrations.base import Integration
from taint.integrations.writers import checked_writer
from taint.policy import Address
from taint.propagation.patches import Patch

__all__ = ["SubprocessIntegration"]

_SINK = "_taint_sink"
_BETWEEN = re.compile(r"\|\|?|&&?|;|\n|\(|\)|`|\$\(")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_ARGS, _SHELL, _ENV, _EXECUTABLE = 0, 8, 10, 2
"""Where these stand among the parameters of `Popen`."""


class SubprocessIntegration(Integration):
    """Checks what programs are given."""

    identifier = "subprocess"
    requires = ()

    def _install(self) -> None:
        look_past("subprocess", "asyncio")
        # An audit hook, of `subprocess.Popen`, can neither be removed nor change anything.
        self._wrap(
            (
                Patch(subprocess.Popen, "__init__", _begin),
                Patch(subprocess.Popen, "communicate", _communicate),
                Patch(os, "system", _system),
            )
        )


def _text(value: Any) -> str:
    return exact(os.fsdecode(exact(value)))  # type: ignore[no-any-return]  # Text it is.


def _names(words: Iterable[Any], line: str | None = None) -> Iterable[str]:
    """Give the names by which a policy may know a program: as called, without folders, with its arguments."""
    texts = [_text(word) for word in words]
    if texts:
        bare = os.path.basename(texts[0])  # noqa: PTH119  # Of any text.
        yield texts[0]
        yield bare
        yield line or " ".join(texts)
        yield " ".join((bare, *texts[1:]))


def _shell_names(line: Any) -> Iterable[str]:
    """Give those of every program in a shell's command."""
    for command in _BETWEEN.split(_text(line)):
        try:
            words = shlex.split(command)
        except ValueError:
            words = command.split()
        while words and _ASSIGNMENT.fullmatch(words[0]):
            words = words[1:]
        yield from _names(words)


def _is_line(args: Any) -> bool:
    return isinstance(args, str | bytes | os.PathLike)


def _sink(args: Any, *, is_shell: bool, executable: Any) -> Address | None:
    names: list[str] = [] if executable is None else list(_names((executable,)))
    if is_shell:
        names += _shell_names(args if _is_line(args) else next(iter(args), ""))
    else:
        names += _names((args,) if _is_line(args) else args)
    return sink_at("command", *names)


def _given(args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str, position: int) -> Any:
    return args[position] if len(args) > position else kwargs.get(name)


def _begin(wrapped: Callable[..., None], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    __tracebackhide__ = True  # As in `carry_out`.
    if not has_sinks("command"):
        wrapped(*args, **kwargs)
        return
    argv, env = _given(args, kwargs, "args", _ARGS), _given(args, kwargs, "env", _ENV)
    is_shell = bool(_given(args, kwargs, "shell", _SHELL))
    if not _is_line(argv):
        # A path's parts carry labels, and its text; the path itself is not looked into.
        argv = [os.fspath(one) if isinstance(one, os.PathLike) else one for one in argv]
    sink = _sink(argv, is_shell=is_shell, executable=_given(args, kwargs, "executable", _EXECUTABLE))
    if sink is not None:
        argv, env = let_go_guarded(sink, (("argv", argv), ("env", env)))
        changed = {"args": argv, "env": env}
        positions = {"args": _ARGS, "env": _ENV}
        args = tuple(
            changed[next(name for name, at in positions.items() if at == index)] if index in positions.values() else one
            for index, one in enumerate(args)
        )
        kwargs = {**kwargs, **{name: value for name, value in changed.items() if len(args) <= positions[name]}}
    wrapped(*args, **kwargs)
    if sink is not None:
        setattr(process, _SINK, sink)
        if process.stdin is not None:
            process.stdin = checked_writer(process.stdin, sink, "stdin")


def _communicate(wrapped: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    __tracebackhide__ = True  # As in `carry_out`.
    sink = getattr(process, _SINK, None)
    given = _given(args, kwargs, "input", 0)
    if sink is None or not given:
        return wrapped(*args, **kwargs)
    try:
        (given,) = let_go_guarded(sink, (("input", given),))
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.stdin = getattr(process.stdin, "__wrapped__", process.stdin)  # What goes there now was checked.
    return wrapped(given, *args[1:], **kwargs) if args else wrapped(**{**kwargs, "input": given})


def _system(wrapped: Callable[..., int], _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    __tracebackhide__ = True  # As in `carry_out`.
    command = _given(args, kwargs, "command", 0)
    sink = sink_at("command", *_shell_names(command)) if has_sinks("command") else None
    if sink is not None:
        (command,) = let_go_guarded(sink, (("argv", command),))
    return wrapped(command)
