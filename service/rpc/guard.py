"""What stands before all services: no failure of theirs is UNKNOWN, none tells what is inside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import grpc

from service.access.grants import LIST
from service.core.errors import MalformedMessageError
from service.rpc.caller import caller_of
from service.rpc.door import Door, metadata_of
from service.rpc.status import Context, Failure, abort, failure_of

Handler: TypeAlias = Any
"""A grpc.RpcMethodHandler; its types know only the synchronous kind."""


class Guard(grpc.aio.ServerInterceptor):
    """Answers for methods that do not exist, and for services that are not ours.

    Ours take bytes and answer for themselves. Of others, such as reflection, the
    requests are parsed here, since grpc makes UNKNOWN, with the exception's text,
    of whatever a deserializer or a handler raises. They are for those who may list models.
    """

    def __init__(self, door: Door) -> None:
        """Let callers in by this door; know no method yet."""
        self._door = door
        self._guarded: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the handler of a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            # On the wire all four kinds begin alike, so this answers any of them.
            return grpc.stream_stream_rpc_method_handler(_no_such_method)
        method = handler_call_details.method
        if method not in self._guarded:
            self._guarded[method] = self._guard(handler)
        return self._guarded[method]

    def _guard(self, handler: Handler) -> Handler:
        if handler.unary_unary is not None:
            return _releasing_request(handler)
        if handler.stream_stream is None:
            return handler
        is_ours = handler.request_deserializer is None
        return _releasing(handler if is_ours else _parsing(handler, self._door))


async def _no_such_method(_: AsyncIterator[bytes], context: Context) -> NoReturn:
    await abort(
        context,
        Failure(
            "UNKNOWN_METHOD",
            "there is no such method here; the contract is asr.v1.SpeechService",
        ),
    )


def _parsing(handler: Handler, door: Door) -> Handler:
    parse, behave = handler.request_deserializer, handler.stream_stream

    async def parsed(requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for data in requests:
            try:
                yield parse(data)
            except Exception as error:
                raise MalformedMessageError("the message cannot be parsed") from error

    async def answer(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        try:
            door.admit(caller_of(context), metadata_of(context), LIST)
            async for response in behave(parsed(requests), context):
                yield response
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes a status
            await abort(context, failure_of(error))

    return grpc.stream_stream_rpc_method_handler(
        answer, response_serializer=handler.response_serializer
    )


def _releasing(handler: Handler) -> Handler:
    """Free a call as soon as it has ended, not when the garbage collector comes by.

    grpc.aio holds a call in two circles of references: the requests and their iterator,
    and the error of ``abort`` with the frames in its traceback. While it is held, it
    counts as a stream of its connection, so after some hundred failed calls within a
    short time a client would be refused (REFUSED_STREAM) by a server that is idle.
    """
    behave = handler.stream_stream

    async def answer(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        try:
            async with aclosing(behave(requests, context)) as responses:
                async for response in responses:
                    yield response
        except grpc.aio.AbortError as error:
            error.__traceback__ = error.__context__ = None
            raise
        finally:
            iterator: Any = aiter(requests)
            await iterator.aclose()
            # This frame stands in the traceback from here on.
            del requests, context, iterator

    return grpc.stream_stream_rpc_method_handler(
        answer, response_serializer=handler.response_serializer
    )


def _releasing_request(handler: Handler) -> Handler:
    """Free the request of a call with one answer as soon as it has failed, as ``_releasing``.

    It may hold 64 MiB, and a collector that has frozen what was there at the start comes by late.
    """
    behave = handler.unary_unary

    async def answer(request: object, context: Context) -> object:
        try:
            return await behave(request, context)
        except grpc.aio.AbortError as error:
            error.__traceback__ = error.__context__ = None
            raise
        finally:
            # This frame stands in the traceback from here on.
            del request, context

    return grpc.unary_unary_rpc_method_handler(
        answer, handler.request_deserializer, handler.response_serializer
    )
