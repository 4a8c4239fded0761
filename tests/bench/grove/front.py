"""The way from a collector to the simulated Zoom, with Zoom's own names and TLS.

One port that speaks two ways. A client that sends CONNECT is a client of a proxy: it is answered, and TLS begins with a
certificate for the name that it asked for. Any other client begins with TLS at once. Behind that, bytes go to the
simulator and back as they are; a reset of the simulator's connection becomes a reset of the client's.
"""

import argparse
import asyncio
import socket
import ssl
import struct


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST, as the simulator did."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
        else:
            target.close()
    except (ConnectionError, ssl.SSLError):
        reset(target)


async def serve(args: argparse.Namespace) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(args.certificate, args.key)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if args.proxy:
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"CONNECT "):
                    writer.close()
                    return
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
            await writer.start_tls(context)
            up_reader, up_writer = await asyncio.open_connection(*args.simulator.rsplit(":", 1))
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            writer.transport.abort()
            return
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", args.port)
    async with server:
        print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--proxy", action="store_true", help="clients send CONNECT first")
    parser.add_argument("--simulator", required=True, help="host:port")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    asyncio.run(serve(parser.parse_args()))
