"""The ports of a server: how one is taken, and those beside that for speech."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc_reflection.v1alpha import reflection

from service.process import ExitStatus, StartError
from service.rpc.door import Door
from service.rpc.guard import Guard
from service.rpc.health import HEALTH_SERVICE, Health
from service.rpc.tls import ServerTls
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class SideAddresses:
    """HOST:PORT each, or empty where there is none."""

    health: str = ""
    """For probes alone."""
    admin: str = ""
    """For whoever looks into connections."""


def bind(server: grpc.aio.Server, address: str, tls: ServerTls | None = None) -> str:
    """Take an address; returns it with the port that was got for port 0.

    Raises:
        StartError: it cannot be had.
    """
    try:
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, tls.credentials())
    except RuntimeError as error:
        raise StartError(
            ExitStatus.CANNOT_LISTEN,
            f"cannot listen on {address}: it is taken or not an address of this machine; "
            "choose another HOST:PORT",
        ) from error
    return f"{address.rpartition(':')[0]}:{port}"


@asynccontextmanager
async def side_servers(settings: Settings, health: Health) -> AsyncIterator[SideAddresses]:
    """Serve probes and channelz while the block runs, as far as they are asked for.

    Servers of their own, so that they are reached when all connections for speech are taken.

    Raises:
        StartError: an address cannot be had.
    """
    async with AsyncExitStack() as stack:
        health_address = admin_address = ""
        if settings.health_listen:
            probes = _side_server(health)
            health_address = await _start(probes, settings.health_listen, stack)
        if settings.admin_listen:
            from grpc_channelz.v1 import channelz, channelz_pb2

            admin = _side_server(health)
            channelz.add_channelz_servicer(admin)
            service = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name
            names = (service, HEALTH_SERVICE, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, admin)
            admin_address = await _start(admin, settings.admin_listen, stack)
        yield SideAddresses(health_address, admin_address)


def _side_server(health: Health) -> grpc.aio.Server:
    server = grpc.aio.server(interceptors=[Guard(Door())], options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((health.handler(),))
    return server


async def _start(server: grpc.aio.Server, address: str, stack: AsyncExitStack) -> str:
    taken = bind(server, address)
    stack.push_async_callback(server.stop, 0)
    await server.start()
    return taken
