"""A libvirt that does everything but destroy domains, for as long as the test likes."""
import socket
import threading
from pathlib import Path

LIBVIRT = "/run/libvirt/libvirt-sock"
# libvirt's src/remote/remote_protocol.x: each message begins with its length, then program, version and procedure.
PROGRAM = 0x20008086
DESTROY = (12, 234)  # REMOTE_PROC_DOMAIN_DESTROY, ..._DESTROY_FLAGS


class HeldLibvirt:
    """`with HeldLibvirt(folder) as libvirt:`; programs reach it at `libvirt.uri`. What asks for a domain's end waits for release()."""

    def __init__(self, folder):
        self.path = Path(folder) / "libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.path}"
        self.held = 0
        self._lock = threading.Lock()
        self._waiting = []  # (connection, message); None when they are held no more
        self._open = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for connection in [self._listener, *self._open]:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def release(self):
        with self._lock:
            for connection, message in self._waiting:
                connection.sendall(message)
            self._waiting = None

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(LIBVIRT)
            except OSError:
                return
            self._open += [client, server]
            for target, ends in ((self._ask, (client, server)), (self._answer, (server, client))):
                threading.Thread(target=self._pass_on, args=(target, *ends), daemon=True).start()

    @staticmethod
    def _pass_on(how, source, to):
        """Until either end is over; then both are."""
        try:
            how(source, to)
        except OSError:
            pass
        for end in (source, to):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _ask(self, client, server):
        with client.makefile("rb") as stream:
            while len(size := stream.read(4)) == 4:
                body = stream.read(int.from_bytes(size, "big") - 4)
                program, _, procedure = (int.from_bytes(body[at:at + 4], "big") for at in (0, 4, 8))
                with self._lock:
                    if program == PROGRAM and procedure in DESTROY and self._waiting is not None:
                        self._waiting.append((server, size + body))
                        self.held += 1
                    else:
                        server.sendall(size + body)

    @staticmethod
    def _answer(server, client):
        while some := server.recv(65536):
            client.sendall(some)
